/** Where worker number `worker` begins in `units` pieces of work; it ends where the next begins. */
// @ts-ignore: decorator
@inline
export function first(units: i32, worker: i32, workers: i32): i32 {
  return <i32>((<i64>units * worker) / workers);
}
