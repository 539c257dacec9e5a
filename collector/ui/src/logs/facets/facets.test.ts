// What the sidebar lists, and under which names.
import { expect, test } from "vitest";
import type { FieldInfo } from "../../api/types";
import { fieldGroups } from "./fieldList";

const fields: FieldInfo[] = [
  { name: "severity", kind: "column", types: ["text"] },
  { name: "timestamp", kind: "column", types: ["text"] },
  { name: "k10", kind: "attribute", types: ["text"] },
  { name: "k9", kind: "attribute", types: ["integer", "text"] },
  { name: "service", kind: "attribute", types: ["text"] },
  { name: "host.name", kind: "attribute", types: ["text"] },
  { name: "host.name", kind: "resource", types: ["text"] },
  { name: "service.name", kind: "resource", types: ["text"] },
];

const listed = (open: string[], wanted: string) =>
  fieldGroups(fields, open, wanted).map((group) => `${group.title}: ${group.fields.map(({ name }) => name).join(" ")}`);

test("open fields come first, others by kind and name, each as a search names it", () => {
  expect(listed(["severity"], "")).toEqual([
    ": severity",
    "Attributes: host.name k9 k10 attr.service",
    "Resource: resource.host.name",
  ]);
});

test("a field that is open stays in the list where no record has it", () => {
  expect(listed(["gone"], "")[0]).toBe(": gone");
});

test("every word of what is looked for is in the name", () => {
  expect(listed(["severity"], "NAME host")).toEqual(["Attributes: host.name", "Resource: resource.host.name"]);
  expect(listed([], "nothing like it")).toEqual([]);
});

test("of very many fields the rest is counted", () => {
  const many = Array.from({ length: 500 }, (_, at): FieldInfo => ({ name: `k${at}`, kind: "attribute", types: [] }));
  const [group] = fieldGroups(many, [], "");
  expect([group?.fields.length, group?.hidden]).toEqual([150, 350]);
});
