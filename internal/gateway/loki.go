package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"time"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
)

// lokiTime is how long the start waits for Loki's version.
const lokiTime = 5 * time.Second

// The Lokis that the isolation tests have run with: from minTested to maxTested, by minor version. Older ones than minTested have
// another API than openapi.yaml. docs/isolation.md has the table.
var minTested, maxTested = minor{3, 1}, minor{3, 7}

// minor is a version without its patches.
type minor struct{ major, minor int }

func (v minor) before(other minor) bool {
	return v.major < other.major || v.major == other.major && v.minor < other.minor
}

// checkLoki refuses to serve in front of a Loki that is too old, and one that is not among those tested where testedOnly says
// so. warning is what an operator has to know of any other that is not; empty: it is one of those tested. A Loki that does not
// respond may just be starting: /readyz reports when it is ready. reached is whether it has.
func checkLoki(ctx context.Context, client *loki.Client, testedOnly bool, log *slog.Logger) (warning string, reached bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lokiTime)
	defer cancel()
	info, err := client.BuildInfo(ctx)
	if err != nil {
		message, state := notReached(err)
		log.WarnContext(ctx, message, "error", err)
		warning = state + ", so its version is not known"
	} else if warning, err = versionWarning(info.Version); err != nil {
		return "", false, err
	} else if reached = true; warning != "" {
		log.WarnContext(ctx, warning, "version", info.Version)
	}
	if warning != "" && testedOnly {
		return "", reached, fmt.Errorf("LOGFENCE_LOKI_TESTED_ONLY: %s", warning)
	}
	return warning, reached, nil
}

// notReached is why Loki's version is not known: in the log, and of the start. A response that is none of Loki's, such as
// the 401 of a reverse proxy for wrong credentials, does not pass by itself.
func notReached(err error) (message, state string) {
	switch {
	case isUnreached(err):
		return "Loki cannot be reached yet", "Loki could not be reached at start"
	case errors.Is(err, loki.ErrDenied):
		return "Loki, or a reverse proxy in front of it, denies access; check the credentials", "Loki denied access at start"
	default:
		return "Loki, or a reverse proxy in front of it, does not return Loki's version", "Loki did not return its version at start"
	}
}

// isUnreached reports whether an error means that there was no response.
func isUnreached(err error) bool {
	for _, kind := range []error{loki.ErrUnreachable, loki.ErrUnavailable, loki.ErrTimeout, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// lokiState is what was found of Loki at start, for operators.
type lokiState struct {
	warning string            // empty: its version is one of those tested
	walls   map[string]string // by name
}

// lookAtLoki checks Loki's version and probes its walls. Its error is a Loki that logfence is not to serve in front of.
func lookAtLoki(ctx context.Context, client *loki.Client, c config.Config, label string, m *telemetry.Metrics, log *slog.Logger) (lokiState, error) {
	warning, reached, err := checkLoki(ctx, client, c.LokiTestedOnly, log)
	if err != nil {
		return lokiState{}, err
	}
	m.Gauge("logfence_upstream_version_tested", "1 if Loki's version at start is one that isolation is tested with; 0 if it is another, or not known.", nil,
		func() float64 { return oneIf(warning == "") })
	return lokiState{warning: warning, walls: probeWalls(ctx, client, reached, label, m, log)}, nil
}

// probeWalls finds out which layers of Loki's own confine requests too, by name, for operators: logfence does not rely on them.
// A Loki that could not be reached is not probed.
func probeWalls(ctx context.Context, client *loki.Client, reached bool, label string, m *telemetry.Metrics, log *slog.Logger) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, lokiTime)
	defer cancel()
	var found loki.Walls
	if reached {
		found = client.ProbeWalls(ctx, label)
	}
	log.InfoContext(ctx, "Loki's own walls", "required_labels", found.RequiredLabels.String(), "per_request_limits", found.QueryLimits.String(), "label_policies", found.LabelPolicies.String())
	walls := map[string]loki.Wall{"required_labels": found.RequiredLabels, "per_request_limits": found.QueryLimits, "label_policies": found.LabelPolicies}
	shown := make(map[string]string, len(walls))
	for name, wall := range walls {
		shown[name] = wall.String()
		m.Gauge("logfence_upstream_wall", "1 if a probe at start saw this layer of Loki's own confine requests; 0 if not, or not known.",
			map[string]string{"wall": name}, func() float64 { return oneIf(wall == loki.WallPresent) })
	}
	return shown
}

// versionWarning is what is to be known of a version; empty: it is one of those tested.
func versionWarning(version string) (string, error) {
	v, known := readVersion(version)
	window := fmt.Sprintf("logfence's isolation is tested with %d.%d to %d.%d", minTested.major, minTested.minor, maxTested.major, maxTested.minor)
	switch {
	case !known:
		return fmt.Sprintf("Loki's version %.40q is not a release; %s", version, window), nil
	case v.before(minTested):
		return "", fmt.Errorf("the Loki at LOGFENCE_LOKI_URL is %s; %d.%d or newer is needed", version, minTested.major, minTested.minor)
	case maxTested.before(v):
		return fmt.Sprintf("Loki is %s; %s", version, window), nil
	default:
		return "", nil
	}
}

var release = regexp.MustCompile(`^v?(\d{1,4})\.(\d{1,4})(?:\.|$)`)

// readVersion reads a version such as 3.7.8; builds between releases have names such as main-1a2b3c.
func readVersion(version string) (v minor, known bool) {
	m := release.FindStringSubmatch(version)
	if m == nil {
		return minor{}, false
	}
	v.major, _ = strconv.Atoi(m[1]) // four digits at the most
	v.minor, _ = strconv.Atoi(m[2])
	return v, true
}
