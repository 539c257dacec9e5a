// The box into which a trace's id is pasted.
import { useId, useState, type SubmitEvent } from "react";
import { navigate } from "../app/location";
import s from "./FindTrace.module.css";
import { readTrace, traceUrl } from "./state";

export function FindTrace({ focused = false }: { focused?: boolean }) {
  const id = useId();
  const [text, setText] = useState("");
  const [refused, setRefused] = useState<string>();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const found = readTrace(text);
    if (found === undefined) setRefused(text.trim());
    else navigate(traceUrl(found.id, { span: found.span }));
  };
  return (
    <form className={s.form} onSubmit={submit} noValidate>
      <label htmlFor={`${id}-text`}>Trace id</label>
      <div className={s.line}>
        <input
          id={`${id}-text`}
          type="text"
          data-trace-id
          spellCheck={false}
          autoComplete="off"
          autoFocus={focused}
          placeholder="4bf92f3577b34da6a3ce929d0e0e4736"
          aria-invalid={refused !== undefined}
          aria-describedby={`${id}-hint`}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setRefused(undefined);
          }}
        />
        <button type="submit" className="primary">
          Open trace
        </button>
      </div>
      <p id={`${id}-hint`} className={s.hint} role={refused === undefined ? undefined : "alert"} data-refused={refused !== undefined}>
        {refused === undefined
          ? "Also a traceparent header, a UUID or the address of a trace."
          : refused === ""
            ? "Paste a trace id: up to 32 hexadecimal digits."
            : `“${refused.slice(0, 80)}” names no trace: an id is up to 32 hexadecimal digits, not all of them zero.`}
      </p>
    </form>
  );
}
