import base from "./playwright.config";
export default { ...base, globalSetup: "./fake.setup.ts" };
