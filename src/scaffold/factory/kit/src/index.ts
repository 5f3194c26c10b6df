/**
 * The runtime of every service in this repository: a service is its name and
 * its routes; the kit adds health, prices, checked input, one shape of error,
 * metrics, an access log and an orderly end. It knows no service. What services
 * keep, whom they ask and what they have signed is `store.ts`, `provider.ts`
 * and `signature.ts`, which only those load that need them.
 */
export type { About } from "./about.ts";
export { type Config, ConfigError, type Env, readConfig } from "./config.ts";
export { type ErrorBody, ServiceError } from "./envelope.ts";
export type { Access } from "./observe.ts";
export { serve } from "./server.ts";
export {
  type BuildOptions,
  createService,
  type Handlers,
  type Input,
  type Price,
  type Route,
  type Service,
} from "./service.ts";
