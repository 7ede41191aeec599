/**
 * Finds keys that a schema does not know. zod drops them without a word unless each object is declared strict;
 * in a settings file a key that does nothing is always a mistake.
 */
import { type ZodType, z } from 'zod';
import type { Path } from './yaml-source.ts';

export interface UnknownKey {
  readonly path: Path;
  readonly validKeys: readonly string[];
}

/** The parts of JSON Schema that say which keys an object may have. */
interface Shape {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: Shape | boolean;
  readonly items?: Shape;
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly allOf?: readonly Shape[];
}

export function unknownKeys(schema: ZodType, value: unknown): readonly UnknownKey[] {
  return search([z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape], value, []);
}

/** `shapes` are alternatives: a key that one of them knows is known. */
function search(shapes: readonly Shape[], value: unknown, path: Path): readonly UnknownKey[] {
  const forms = shapes.flatMap(alternatives);
  if (Array.isArray(value)) {
    const items = forms.flatMap((form) => form.items ?? []);
    return value.flatMap((item, index) => search(items, item, [...path, index]));
  }
  if (typeof value !== 'object' || value === null) return [];
  const objects = fitting(forms, value);
  return objects.length === 0 ? [] : searchKeys(objects, value, path);
}

function searchKeys(forms: readonly Shape[], value: object, path: Path): readonly UnknownKey[] {
  const isOpen = forms.some((form) => form.properties === undefined || form.additionalProperties);
  const validKeys = [...new Set(forms.flatMap((form) => Object.keys(form.properties ?? {})))];
  return Object.entries(value).flatMap(([key, child]): readonly UnknownKey[] => {
    const inside = [...path, key];
    if (!isOpen && !validKeys.includes(key)) return [{ path: inside, validKeys }];
    const shapes = forms.map((form) => shapeAt(form, key));
    return search(shapes, child, inside);
  });
}

/** What stands behind a key; of a key that is merely allowed nothing is known, so everything in it is. */
function shapeAt({ properties = {}, additionalProperties }: Shape, key: string): Shape {
  const named = Object.hasOwn(properties, key) ? properties[key] : undefined;
  return named ?? (typeof additionalProperties === 'object' ? additionalProperties : {});
}

function alternatives(shape: Shape): readonly Shape[] {
  const parts = [...(shape.anyOf ?? []), ...(shape.oneOf ?? []), ...(shape.allOf ?? [])];
  return parts.length === 0 ? [shape] : parts.flatMap(alternatives);
}

/** The forms that can be an object and, where constants tell them apart, have the ones that are written. */
function fitting(forms: readonly Shape[], value: object): readonly Shape[] {
  const objects = forms.filter((form) => form.type === undefined || [form.type].flat().includes('object'));
  const exact = objects.filter((form) =>
    Object.entries(form.properties ?? {}).every(
      ([key, property]) => property.const === undefined || property.const === (value as Record<string, unknown>)[key],
    ),
  );
  return exact.length === 0 ? objects : exact;
}
