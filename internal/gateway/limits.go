package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/refresh"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenant"
)

// tenantLimits are the limits in force, and where tenants' own come from.
type tenantLimits struct {
	*limits.Limiter

	file *refresh.Value[map[tenant.Name]limits.OwnLimits] // nil: tenants have no limits of their own
	// grants check that a file has the classes that they name. They are set after the first file is read, which they are
	// read with.
	grants *atomic.Pointer[grants]
}

// openLimits makes the limiter, and follows the file of tenants' own limits: a mistake in it keeps those
// that were in force.
func openLimits(c config.Config, log *slog.Logger, life *lifecycle) (tenantLimits, error) {
	limiter, err := limits.New(c.Limits, limits.WithLogger(log))
	if err != nil {
		return tenantLimits{}, fmt.Errorf("make the limits: %w", err)
	}
	life.onCleanup(limiter.Close)
	l := tenantLimits{Limiter: limiter, grants: &atomic.Pointer[grants]{}}
	if c.LimitsFile == "" {
		return l, nil
	}
	l.file, err = refresh.File(c.LimitsFile, func(content []byte) (map[tenant.Name]limits.OwnLimits, error) {
		own, classes, err := config.ParseLimitsFile(c.LimitsFile, content, c.Limits.Limits)
		if err != nil {
			return nil, err
		}
		if err := l.grants.Load().checkClasses(slices.Sorted(maps.Keys(classes))); err != nil {
			return nil, err
		}
		limiter.ReplaceAll(own, classes) // as a whole: a request sees the old ones or the new ones
		return own, nil
	}, refresh.Options{OnChange: func(err error) { logLimits(log, c.LimitsFile, err) }})
	if err != nil {
		return tenantLimits{}, fmt.Errorf("read the limits of tenants: %w", err)
	}
	life.onCleanup(l.file.Close)
	life.onReload(func() { _ = l.file.Reload() }) // OnChange logs it
	return l, nil
}

// logLimits logs what became of a file that has changed: every mistake, each with its line.
func logLimits(log *slog.Logger, file string, err error) {
	if err == nil {
		log.Info("limits of tenants read again", "file", file)
		return
	}
	var mistakes *config.Error
	if !errors.As(err, &mistakes) {
		log.Error("limits of tenants stay as they were", "file", file, "error", err)
		return
	}
	for _, m := range mistakes.Problems {
		log.Error("limits of tenants stay as they were", "file", file, "line", m.Line, "name", m.Name, "error", m.Text)
	}
}

// addLimits adds the metrics of limits.
func addLimits(m *telemetry.Metrics, l tenantLimits) {
	for _, d := range limits.Table() {
		if d.Code == "" {
			continue
		}
		m.Counter("logfence_limits_hit_total", "Requests refused for a tenant's limit, by the limit's key in the limits file.",
			map[string]string{"limit": d.Key}, func() float64 { return float64(l.Hits(d.Limit)) })
	}
	m.Gauge("logfence_queries_in_flight", "Queries in flight at Loki, without exports and tails.", nil,
		func() float64 { held, _ := l.Queries(); return float64(held) })
	m.Gauge("logfence_queries_waiting", "Queries that wait for a slot.", nil,
		func() float64 { _, waiting := l.Queries(); return float64(waiting) })
	addMemory(m, l.Memory())
	if wanted, _, _ := l.Shared(); wanted {
		m.Gauge("logfence_limits_shared", "1 while replicas count together in Redis; 0 while it is away, and each replica counts alone.", nil,
			func() float64 { _, now, _ := l.Shared(); return oneIf(now) })
		m.Counter("logfence_limits_shared_failures_total", "Requests to Redis that failed or timed out.", nil,
			func() float64 { _, _, failures := l.Shared(); return float64(failures) })
	}
	if l.file != nil {
		m.Gauge("logfence_limits_file_ok", "1 if the limits in force are those of the file as it is; 0 if it has a mistake, and those before it hold.", nil,
			func() float64 { return oneIf(l.file.Err() == nil) })
	}
}

// addMemory adds the metrics of the memory budget.
func addMemory(m *telemetry.Metrics, memory *limits.Memory) {
	for use := range limits.MemoryUses {
		labels := map[string]string{"use": use.String()}
		of := func(read func(limits.MemoryStats) float64) func() float64 {
			return func() float64 { return read(memory.Stats(use)) }
		}
		m.Gauge("logfence_memory_budget_bytes", "Share of LOGFENCE_MEMORY_BUDGET, by use: pages (of context, exports and tails), tails (lines that viewers of a query share), viewers (of tails), bodies of requests.", labels,
			of(func(s limits.MemoryStats) float64 { return float64(s.Size) }))
		m.Gauge("logfence_memory_reserved_bytes", "Memory that is reserved for callers, by use.", labels,
			of(func(s limits.MemoryStats) float64 { return float64(s.Reserved) }))
		m.Gauge("logfence_memory_used_bytes", "Reserved memory that is known to be held, by use; the rest is for data that has not yet arrived.", labels,
			of(func(s limits.MemoryStats) float64 { return float64(s.Used) }))
		m.Gauge("logfence_memory_waiting", "Requests that wait for memory, by use.", labels,
			of(func(s limits.MemoryStats) float64 { return float64(s.Waiting) }))
	}
	refused := m.CounterVec("logfence_memory_refused_total",
		"Requests refused since there was no memory in time, by use and by the class of their tenants in the limits file: (none), (own) and (several) where there is no single one.", "use", "class")
	for use := range limits.MemoryUses { // exists from the start: a counter that begins at 1 has not increased
		refused.WithLabelValues(use.String(), limits.NoClass)
	}
	memory.OnRefusal(func(use limits.MemoryUse, class string) { refused.WithLabelValues(use.String(), class).Inc() })
}

func oneIf(so bool) float64 {
	if so {
		return 1
	}
	return 0
}
