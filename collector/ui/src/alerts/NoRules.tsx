// The Alerts page before any rule is loaded: how to load some.
import { Message } from "../widgets/Message";

const EXAMPLE = `groups:
  - name: task-api
    rules:
      - alert: TaskApiErrors
        expr: sum(rate(http_server_errors_total[1m])) > 0.1
        for: 1m
        labels: { severity: page, service: task-api }
        annotations:
          summary: Requests to the task API fail
          logs_query: service:task-api AND severity:>=error`;

export function NoRules() {
  return (
    <Message title="No rules are loaded">
      <p>
        Start the server with rule files in Prometheus&apos; format, or with SLO files in Sloth&apos;s; each
        option takes several files:
      </p>
      <pre>watchkeeper serve --rules rules.yml --slos slos.yml</pre>
      <p>
        <code>watchkeeper check rules.yml</code> tells beforehand what is wrong in a file. A rule file looks
        like this:
      </p>
      <pre>{EXAMPLE}</pre>
    </Message>
  );
}
