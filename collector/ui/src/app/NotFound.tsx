// The page of an address that is none.
import { Message } from "../widgets/Message";
import { Link } from "./Link";

export function NotFound({ path }: { path: string }) {
  return (
    <main className="page">
      <Message title="There is no such page">
        <p>
          <code>{path}</code> leads nowhere. Go to <Link href="/ui/logs">Logs</Link>,{" "}
          <Link href="/ui/traces">Traces</Link>, <Link href="/ui/metrics">Metrics</Link> or <Link href="/ui/alerts">Alerts</Link>.
        </p>
      </Message>
    </main>
  );
}
