package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// lokiTime is how long the start waits for Loki's version.
const lokiTime = 5 * time.Second

// checkLoki refuses to serve in front of a Loki older than 3.1, whose API differs from
// openapi.yaml. One that does not respond may just be starting: /readyz reports when it is ready.
func checkLoki(ctx context.Context, client *loki.Client, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, lokiTime)
	defer cancel()
	info, err := client.BuildInfo(ctx)
	if err != nil {
		log.WarnContext(ctx, "Loki cannot be reached yet", "error", err)
		return nil
	}
	switch old, known := tooOld(info.Version); {
	case !known:
		log.WarnContext(ctx, "Loki's version is not a release; 3.1 or newer is needed", "version", info.Version)
	case old:
		return fmt.Errorf("the Loki at LOGFENCE_LOKI_URL is %s; 3.1 or newer is needed", info.Version)
	}
	return nil
}

var release = regexp.MustCompile(`^v?(\d{1,4})\.(\d{1,4})(?:\.|$)`)

// tooOld reads a version such as 3.7.8; builds between releases have names such as main-1a2b3c.
func tooOld(version string) (old, known bool) {
	m := release.FindStringSubmatch(version)
	if m == nil {
		return false, false
	}
	major, _ := strconv.Atoi(m[1]) // four digits at the most
	minor, _ := strconv.Atoi(m[2])
	return major < 3 || major == 3 && minor < 1, true
}
