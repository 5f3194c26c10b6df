/**
 * The runtime of every service in this repository: a service is its name and
 * its routes; the kit adds health, prices, checked input, one shape of error
 * and an orderly end. It knows no service and keeps no data.
 */
export { type Config, ConfigError, type Env, readConfig } from "./config.ts";
export { type ErrorBody, ServiceError } from "./envelope.ts";
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
