// Asks the server again when an address is looked at again.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useLocation } from "./location";

/** What has moved with `now` is being asked for already, and is not asked for twice. */
export function useAgain(): void {
  const client = useQueryClient();
  const { looks } = useLocation();
  useEffect(() => {
    if (looks > 0) void client.refetchQueries({ type: "active" }, { cancelRefetch: false });
  }, [client, looks]);
}
