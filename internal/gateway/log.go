package gateway

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/telemetry"
)

// lastLinesTime is how long a stderr that takes nothing may keep the process from ending.
const lastLinesTime = time.Second

// openLog opens the log, which no request waits for. What is queued is written at the end of everything else,
// so it is opened first.
func openLog(c config.Config, stderr io.Writer, life *lifecycle) (*slog.Logger, *telemetry.LogQueue) {
	lines := telemetry.NewLogQueue(stderr)
	life.onCleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastLinesTime)
		defer cancel()
		_ = lines.Close(ctx) // there is no other place to report it
	})
	return telemetry.NewLogger(c.LogLevel, c.LogFormat, lines), lines
}
