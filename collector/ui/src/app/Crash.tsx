// What is shown when a page fails to render: the error, and a way on.
import { Component, type ReactNode } from "react";
import { Message } from "../widgets/Message";

export class Crash extends Component<{ children: ReactNode }, { error: Error | undefined }> {
  override state = { error: undefined as Error | undefined };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <main className="page">
        <Message title="The page failed" kind="error">
          <p>
            <code>{error.message}</code>
          </p>
          <p>
            This is a bug in Watchkeeper&apos;s page; the server and its data are not touched by it.
          </p>
          <button type="button" onClick={() => window.location.reload()}>
            Load again
          </button>
        </Message>
      </main>
    );
  }
}
