// One record by its id, for links to records that the search does not show.
import { useQuery } from "@tanstack/react-query";
import { asApiError, type ApiError } from "../../api/client";
import { logContext } from "../../api/logs";
import type { LogRecord } from "../../api/types";

export interface OneRecord {
  record: LogRecord | undefined;
  error: ApiError | undefined;
}

export function useRecord(id: string | undefined): OneRecord {
  const { data, error } = useQuery({
    queryKey: ["record", id],
    queryFn: ({ signal }) => logContext({ id: id ?? "", before: 0, after: 0 }, signal),
    enabled: id !== undefined,
  });
  return { record: data?.record, error: error === null ? undefined : asApiError(error) };
}
