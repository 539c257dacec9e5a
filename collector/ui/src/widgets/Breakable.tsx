// A dotted name that breaks at its dots and underscores, rather than anywhere, when it must.

export function Breakable({ name }: { name: string }) {
  return name.split(/(?<=[._/])/).map((part, at) => (
    <span key={at}>
      {part}
      <wbr />
    </span>
  ));
}
