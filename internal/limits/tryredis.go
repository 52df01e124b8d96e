package limits

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// refusal is the reply of a Redis that refuses a command, such as WRONGPASS, NOAUTH, NOPERM or READONLY; nil: the error is
// another, and there was no reply.
func refusal(err error) error {
	var refused redis.Error
	if errors.As(err, &refused) {
		return refused
	}
	return nil
}

// Enabled reports whether a Redis is configured.
func (c RedisConfig) Enabled() bool { return c.enabled() }

// Try connects to Redis and does there what requests do: with the script, on keys of no tenant, which it writes and which
// expire. The error distinguishes a Redis that refuses from one that is not reached, and holds neither user nor password.
func (c RedisConfig) Try(ctx context.Context) error {
	s, err := newShared(c, probeEvery, slog.New(slog.DiscardHandler)) //nolint:contextcheck // what it starts lasts until close
	if err != nil {
		return err
	}
	defer s.close() //nolint:contextcheck // which gives back what is taken, also after ctx has ended
	most := Defaults()
	_, err = s.run(ctx, []member{{name: "~check", limits: &most}}, ClassExport, true) // no tenant's name
	switch refused := refusal(err); {
	case refused != nil:
		return fmt.Errorf("it refuses: %w", refused)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("cannot be reached: no reply in %s", c.Timeout)
	case err != nil:
		return fmt.Errorf("cannot be reached: %w", err)
	default:
		return nil
	}
}
