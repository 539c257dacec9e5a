// One way to call the server: JSON in and out, and errors that keep the
// server's code, hint, position and request id.
import type { BytePosition, ErrorBody } from "./types";

export class ApiError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly position: BytePosition | undefined;
  readonly requestId: string | undefined;
  /** HTTP status; 0 when the server was not reached. */
  readonly status: number;

  constructor(status: number, body: ErrorBody) {
    super(body.message);
    this.name = "ApiError";
    this.status = status;
    this.code = body.code;
    this.hint = body.hint ?? undefined;
    this.position = body.position ?? undefined;
    this.requestId = body.request_id ?? undefined;
  }

  /** Whether asking again with the same request may succeed. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError(0, { code: "unexpected", message });
}

export function post<T>(path: string, body: unknown, signal: AbortSignal): Promise<T> {
  return call<T>(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

/** Asks with a form, for texts that may be too long for an address. */
export function postForm<T>(path: string, form: URLSearchParams, signal: AbortSignal): Promise<T> {
  return call<T>(path, { method: "POST", body: form, signal });
}

export function get<T>(path: string, signal: AbortSignal): Promise<T> {
  return call<T>(path, { signal });
}

async function call<T>(path: string, init: RequestInit): Promise<T> {
  const response = await reach(path, init);
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, errorBody(response, text));
  try {
    return JSON.parse(text) as T;
  } catch {
    const message = `the answer of ${path} is not JSON`;
    throw new ApiError(response.status, { code: "bad_answer", message });
  }
}

/** Fetches; a server that cannot be reached is an `ApiError` too. */
export async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, {
      code: "unreachable",
      message: `cannot reach the server at ${location.host}`,
      hint: "check that watchkeeper runs and that the network lets you through",
    });
  }
}

/** Reads both our error form and Prometheus' `{status, errorType, error}`. */
export function errorBody(response: { status: number; statusText: string }, text: string): ErrorBody {
  const fallback: ErrorBody = {
    code: `http_${response.status}`,
    message: text.trim().slice(0, 300) || `HTTP ${response.status} ${response.statusText}`,
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fallback;
  }
  const body = json as { error?: ErrorBody | string; errorType?: string } | null;
  if (body?.error === undefined) return fallback;
  if (typeof body.error === "string") {
    return { code: body.errorType ?? fallback.code, message: body.error };
  }
  return body.error;
}
