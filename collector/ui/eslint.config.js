// Lint rules: the strict, type-aware set, plus React's rules of hooks.
import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import { defineConfig } from "eslint/config";
import ts from "typescript-eslint";

export default defineConfig(
  { ignores: ["dist", "playwright-report", "test-results"] },
  js.configs.recommended,
  ts.configs.strictTypeChecked,
  ts.configs.stylisticTypeChecked,
  {
    files: ["src/**"],
    ignores: ["**/*.test.ts"],
    rules: { "max-lines-per-function": ["error", { max: 100, skipComments: true }] },
  },
  { files: ["src/**"], extends: [hooks.configs.flat["recommended-latest"]] },
  {
    files: ["e2e/**"],
    // Playwright finds out what a fixture needs by how it destructures its argument.
    rules: { "no-empty-pattern": "off" },
  },
  {
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ["eslint.config.js"] } },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // Warns of the React compiler, which is not used here.
      "react-hooks/incompatible-library": "off",
      eqeqeq: "error",
      "no-console": "error",
      "max-lines": ["error", { max: 400, skipComments: true }],
    },
  },
);
