package limits

import (
	"errors"
	"time"

	"github.com/logfence/logfence/internal/fielderror"
)

// Config is what a [Limiter] is made of.
type Config struct {
	// Limits are those of every tenant that has none of its own. Required.
	Limits
	// AtOnce is how many queries of all tenants together are in flight at Loki. Beyond it tenants
	// share the slots fairly, so that a busy one leaves the others' latency alone. Required.
	AtOnce int
	// Wait is how long a query may wait for a slot. Required.
	Wait time.Duration
	// Redis is where replicas count together.
	Redis RedisConfig
	// Parsing bounds the queries that are parsed at the same time. Parsing cannot be cancelled, so a
	// slot is held to its end.
	Parsing FairSemaphoreConfig
	// Memory is how many bytes may be held for callers at the same time, see [Memory]; 0 is [DefaultMemory].
	Memory int64
}

// maxWaiting bounds the queries of all tenants that wait for a slot: a request that waits holds some
// kilobytes.
const maxWaiting = 8192

// Validate reports every field that is missing or out of bounds, each as "Field: problem".
func (c Config) Validate() error {
	errs := []error{c.Limits.Validate()}
	if c.AtOnce <= 0 {
		errs = append(errs, fielderror.New("AtOnce", "%d lets nothing pass; write at least 1, such as 256", c.AtOnce))
	}
	if c.Wait <= 0 {
		errs = append(errs, fielderror.New("Wait", "%s lets no query wait; write more than 0s, such as 5s", c.Wait))
	}
	if c.Memory != 0 && c.Memory < MinMemory {
		errs = append(errs, fielderror.New("Memory", "must be at least 32MiB (got %s)", UnitBytes.text(c.Memory)))
	}
	errs = append(errs, fielderror.Within("Redis", c.Redis.Validate()), fielderror.Within("Parsing", c.Parsing.Validate()))
	return errors.Join(errs...)
}
