// Reading error answers.
import { expect, test } from "vitest";
import { errorBody } from "./client";

const response = { status: 400, statusText: "Bad Request" };

test("our form keeps position and hint", () => {
  const body = {
    error: { code: "bad_query", message: "expected )", hint: "close it", position: { offset: 3, length: 1 } },
  };
  expect(errorBody(response, JSON.stringify(body))).toEqual(body.error);
});

test("Prometheus' form, plain text and nothing at all are read too", () => {
  expect(errorBody(response, '{"status":"error","errorType":"bad_data","error":"no"}')).toEqual({
    code: "bad_data",
    message: "no",
  });
  expect(errorBody(response, "404 page not found\n").message).toBe("404 page not found");
  expect(errorBody(response, "").message).toBe("HTTP 400 Bad Request");
});
