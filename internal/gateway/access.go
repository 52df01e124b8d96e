package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/refresh"
	"github.com/logfence/logfence/internal/telemetry"
)

// grants are the rules in force, and where they come from. The nil grants are none: tokens name their tenants.
type grants struct {
	file *refresh.Value[*access.Rules]

	mu      sync.Mutex
	changed func() // after other rules are in force; nil before there is a server
}

// openGrants follows the file of grants: a mistake in it keeps those that were in force.
func openGrants(c config.Config, limiter tenantLimits, log *slog.Logger, m *telemetry.Metrics, life *lifecycle) (*grants, error) {
	if c.AccessFile == "" {
		return nil, nil
	}
	g := &grants{}
	parse := func(content []byte) (*access.Rules, error) { return c.ParseAccess(content, limiter.Classes()) }
	var err error
	g.file, err = refresh.File(c.AccessFile, parse, refresh.Options{OnChange: func(err error) {
		logGrants(log, c.AccessFile, err)
		g.onChange()
	}})
	if err != nil {
		return nil, fmt.Errorf("read the grants: %w", err)
	}
	life.onCleanup(g.file.Close)
	life.onReload(func() { _ = g.file.Reload() }) // OnChange logs it
	m.Gauge("logfence_access_file_ok", "1 if the grants in force are those of the file as it is; 0 if it has a mistake, and those before it hold.", nil,
		func() float64 { return oneIf(g.file.Err() == nil) })
	m.Gauge("logfence_access_grants", "Grants in force.", nil, func() float64 { return float64(g.file.Get().Len()) })
	log.Info("grants read", "file", c.AccessFile, "grants", g.file.Get().Len(), "generation", g.file.Get().Generation())
	return g, nil
}

// rules is the function of the rules in force; nil without grants.
func (g *grants) rules() func() *access.Rules {
	if g == nil {
		return nil
	}
	return g.file.Get
}

// err is why the rules in force are not those of the file as it is.
func (g *grants) err() func() error {
	if g == nil {
		return nil
	}
	return g.file.Err
}

// whenChanged has f called after other rules are in force.
func (g *grants) whenChanged(f func()) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = f
}

func (g *grants) onChange() {
	g.mu.Lock()
	f := g.changed
	g.mu.Unlock()
	if f != nil {
		f()
	}
}

// checkClasses refuses limits without a class that the grants in force name: their callers would be refused.
func (g *grants) checkClasses(classes []string) error {
	if g == nil {
		return nil
	}
	for _, class := range g.file.Get().Classes() {
		if !slices.Contains(classes, class) {
			return fmt.Errorf("there is no class %q, which grants name; the classes are %s", class, strings.Join(classes, ", "))
		}
	}
	return nil
}

// logGrants logs what became of a file that has changed: every mistake, each with its line.
func logGrants(log *slog.Logger, file string, err error) {
	if err == nil {
		log.Info("grants read again", "file", file)
		return
	}
	var mistakes *config.Error
	if !errors.As(err, &mistakes) {
		log.Error("grants stay as they were", "file", file, "error", err)
		return
	}
	for _, m := range mistakes.Problems {
		log.Error("grants stay as they were", "file", file, "line", m.Line, "name", m.Name, "error", m.Text)
	}
}
