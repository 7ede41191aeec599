import { HivemindError } from '../error.ts';
import { type Endpoint, endpointText } from '../identity.ts';

/** Turns the system's word on a failed bind into a sentence for whoever started the agent. */
export function bindError(protocol: 'UDP' | 'TCP', wanted: Endpoint, cause: NodeJS.ErrnoException): HivemindError {
  const where = `${protocol} ${endpointText(wanted)}`;
  switch (cause.code) {
    case 'EADDRINUSE':
      return new HivemindError(
        'port-in-use',
        `Another process already uses ${where}; stop it, or choose another port for this node.`,
        cause,
      );
    case 'EACCES':
      return new HivemindError(
        'address-invalid',
        `This user may not listen on ${where}; choose a port from 1024 up, or grant the right to bind it.`,
        cause,
      );
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return new HivemindError(
        'address-invalid',
        `This machine has no address ${wanted.host}; listen on one of its own, or on 0.0.0.0 or :: for all of them.`,
        cause,
      );
    default:
      return new HivemindError('address-invalid', `Cannot listen on ${where}: ${cause.message}.`, cause);
  }
}
