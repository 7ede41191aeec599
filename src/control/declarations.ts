/** How the roles of this cluster are declared: by its members for good, and by those whose admission is pending. */
import type { RoleDeclaration } from '../certificate/join-request.ts';

interface Awaited {
  readonly declaration: RoleDeclaration;
  /** Pending admissions that bring it. */
  readonly pending: number;
}

export class Declarations {
  private readonly stand = new Map<string, RoleDeclaration>();
  /** Those that do not stand yet; without a pending admission that brings it, each is forgotten. */
  private readonly awaited = new Map<string, Awaited>();

  /** Those of all who ever were members, by the role's name. */
  get standing(): ReadonlyMap<string, RoleDeclaration> {
    return this.stand;
  }

  /** Roles that are declared once all pending admissions are complete. */
  get sizeAhead(): number {
    return this.stand.size + this.awaited.size;
  }

  /** How a role is declared, or will be once all pending admissions are complete. */
  ahead(name: string): RoleDeclaration | undefined {
    return this.stand.get(name) ?? this.awaited.get(name)?.declaration;
  }

  /** An admission that brings these roles began. */
  expect(roles: readonly RoleDeclaration[]): void {
    for (const declaration of roles) {
      if (this.stand.has(declaration.name)) continue;
      const pending = this.awaited.get(declaration.name)?.pending ?? 0;
      this.awaited.set(declaration.name, { declaration, pending: pending + 1 });
    }
  }

  /** An admission that brought these roles ended, well or not. */
  release(roles: readonly RoleDeclaration[]): void {
    for (const { name } of roles) {
      const awaited = this.awaited.get(name);
      if (awaited === undefined) continue;
      if (awaited.pending > 1) this.awaited.set(name, { ...awaited, pending: awaited.pending - 1 });
      else this.awaited.delete(name);
    }
  }

  /** A member with these roles was admitted. */
  declare(roles: readonly RoleDeclaration[]): void {
    for (const declaration of roles) {
      this.awaited.delete(declaration.name);
      if (!this.stand.has(declaration.name)) this.stand.set(declaration.name, declaration);
    }
  }
}
