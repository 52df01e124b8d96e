package httpapi

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
)

// BenchmarkHandler is a whole request of 2 KB but for the server's own part: from the handler, over a
// connection to a Loki in this process, to the record of it.
func BenchmarkHandler(b *testing.B) {
	body := []byte(`{"status":"success","data":{"resultType":"streams","result":[]}}` + strings.Repeat(" ", 1900))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	defer upstream.Close()
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		b.Fatal(err)
	}
	turns, err := limits.NewParseSlots(limits.FairSemaphoreConfig{}, time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	limiter := newLimiter(b, func(c *limits.Config) {
		c.Rate, c.Burst, c.MaxQueryBytesRead = 1e9, 1e9, limits.Defaults().MaxQueryBytesRead
	})
	log := telemetry.NewLogger(slog.LevelInfo, telemetry.FormatJSON, io.Discard)
	recorder := telemetry.NewRecorder(log, telemetry.WithMetrics(telemetry.NewMetrics()))
	client, err := loki.New(loki.Config{URL: upstream.URL}, loki.WithTransport(recorder.Transport))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	s, err := New(Config{
		Verifier: everybody(), Fence: fence, Parsing: turns, Limits: limiter, Loki: client, Recorder: recorder, Log: log, Compat: true,
		Now: func() time.Time { return now }, // at which the tokens are valid
	})
	if err != nil {
		b.Fatal(err)
	}
	target := "/loki/api/v1/query_range?query=%7Bapp%3D%22api%22%7D&limit=100&start=1795441600000000000&end=1795445200000000000"
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Authorization", "Bearer "+alphaToken)
		w := httptest.NewRecorder()
		s.Public().ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}

// BenchmarkValidate is what the check of a request's parameters against the spec costs, for the query with
// the most parameters in common use.
func BenchmarkValidate(b *testing.B) {
	spec, err := loadSpec()
	if err != nil {
		b.Fatal(err)
	}
	prepared, err := newOperationTable(spec)
	if err != nil {
		b.Fatal(err)
	}
	o := prepared["GET /loki/api/v1/query_range"]
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	values := url.Values{
		"query": {`sum by (level) (rate({app="checkout"} |= "error" [5m]))`}, "limit": {"1000"}, "direction": {"backward"},
		"start": {"1795441600000000000"}, "end": {"1795445200000000000"}, "step": {"15s"},
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := o.validate(b.Context(), r, nil, values); err != nil {
			b.Fatal(err)
		}
	}
}
