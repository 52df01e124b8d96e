package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// TestGrafana guarantees that a real Grafana, whose image LOGFENCE_TEST_GRAFANA names, works with logfence as a Loki that it
// knows nothing else of: Explore's queries, labels, alerts, the page of rules, Logs Drilldown's requests, and the
// dashboard. It needs Docker, and runs every night in CI for an old and a current version.
func TestGrafana(t *testing.T) {
	t.Parallel()
	image := os.Getenv("LOGFENCE_TEST_GRAFANA")
	if image == "" {
		t.Skip("LOGFENCE_TEST_GRAFANA names no image of Grafana")
	}
	g := startGrafana(t, image)
	span := fmt.Sprintf(`"from":"%d","to":"%d"`, on.fresh.start.UnixMilli(), on.fresh.end.UnixMilli())
	const source = `"datasource":{"type":"loki","uid":"logfence"},"datasourceId":%d`
	query := func(expr string) string {
		return fmt.Sprintf(`{"queries":[{"refId":"A","expr":%q,"queryType":"range","maxLines":20,"intervalMs":10000,"maxDataPoints":100,`+source+`}],`+span+`}`, expr, g.id)
	}
	proxy := fmt.Sprintf("/api/datasources/proxy/%d/loki/api/v1/", g.id)
	if g.major >= 9 {
		proxy = "/api/datasources/proxy/uid/logfence/loki/api/v1/"
	}
	at := fmt.Sprintf("?start=%s&end=%s", nanoseconds(on.fresh.start), nanoseconds(on.fresh.end))
	for _, tt := range []struct {
		name, method, path, body, says string
		since                          int // the first major version that has it
	}{
		{"a query of Explore", http.MethodPost, "/api/ds/query", query(`sum by (app) (count_over_time({app="checkout"}[1m]))`), `"checkout"`, 8},
		{"lines in Explore", http.MethodPost, "/api/ds/query", query(`{app="checkout"}`), `checkout`, 9},
		{"labels", http.MethodGet, proxy + "labels" + at, "", `"app"`, 8},
		{"values of a label", http.MethodGet, proxy + "label/app/values" + at, "", `"checkout"`, 8},
		{"the health check", http.MethodGet, "/api/datasources/uid/logfence/health", "", `"OK"`, 10},
		{"Drilldown's limits", http.MethodGet, "/api/datasources/uid/logfence/resources/drilldown-limits", "", `"max_entries_limit_per_query"`, 12},
		{"Drilldown's labels", http.MethodGet, "/api/datasources/uid/logfence/resources/detected_labels" + at, "", `"app"`, 11},
		{"rules", http.MethodGet, "/api/prometheus/logfence/api/v1/rules", "", `"groups":[]`, 9},
		{
			"an alert", http.MethodPost, "/api/v1/eval",
			fmt.Sprintf(`{"condition":"A","data":[{"refId":"A","datasourceUid":"logfence","relativeTimeRange":{"from":86400,"to":0},"model":{"refId":"A","queryType":"instant",`+
				`"expr":"sum(count_over_time({app=\"checkout\"}[24h]))","instant":true,`+source+`}}],"now":%q}`, g.id, time.Now().UTC().Format(time.RFC3339)),
			`"schema"`, 9,
		},
		{"the dashboard", http.MethodPost, "/api/dashboards/db", `{"overwrite":true,"dashboard":` + dashboard(t) + `}`, `"success"`, 8},
	} {
		if g.major < tt.since {
			continue
		}
		status, body := g.send(t, tt.method, tt.path, tt.body)
		if status != http.StatusOK || !strings.Contains(body, tt.says) || strings.Contains(body, mark) {
			t.Errorf("%s: %d %.800s", tt.name, status, body)
		}
	}
}

// grafana is a container.
type grafana struct {
	url       string
	id, major int // of the data source, of the version
}

func startGrafana(t *testing.T, image string) *grafana {
	t.Helper()
	provisioning, address := t.TempDir(), freeAddress(t)
	source := fmt.Sprintf("apiVersion: 1\ndatasources:\n  - name: logfence\n    type: loki\n    uid: logfence\n    access: proxy\n    url: %s\n"+
		"    jsonData: {manageAlerts: false, httpHeaderName1: Authorization}\n    secureJsonData: {httpHeaderValue1: Bearer %s}\n",
		on.gateway.public, tokenOf(t, demo.Claims{Tenant: demo.Alpha, Lifetime: time.Hour}))
	// The container's user reads both.
	noErrorNow(t, os.WriteFile(filepath.Join(provisioning, "logfence.yaml"), []byte(source), 0o644))
	noErrorNow(t, os.Chmod(provisioning, 0o755))
	host, port, _ := strings.Cut(address, ":")
	cmd := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--network", "host", "--volume", provisioning+":/etc/grafana/provisioning/datasources:ro",
		"--env", "GF_SERVER_HTTP_ADDR="+host, "--env", "GF_SERVER_HTTP_PORT="+port, "--env", "GF_UNIFIED_ALERTING_ENABLED=true", "--env", "GF_ALERTING_ENABLED=false",
		"--env", "GF_ANALYTICS_REPORTING_ENABLED=false", "--env", "GF_ANALYTICS_CHECK_FOR_UPDATES=false", "--env", "GF_SECURITY_ADMIN_PASSWORD=admin", image)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // which ends the container as well
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	noErrorNow(t, cmd.Start())
	t.Cleanup(func() {
		noError(t, cmd.Cancel())
		_ = cmd.Wait() // it ends by a signal
		if t.Failed() {
			t.Logf("%.20000s", said.String())
		}
	})
	g := &grafana{url: "http://" + address}
	var health struct{ Database, Version string }
	noErrorNow(t, poll.Until(t.Context(), func() (bool, error) {
		resp, err := http.Get(g.url + "/api/health")
		if err != nil {
			return false, nil // not yet
		}
		defer resp.Body.Close()
		return json.NewDecoder(resp.Body).Decode(&health) == nil && health.Database == "ok", nil
	}))
	_, err := fmt.Sscanf(health.Version, "%d.", &g.major)
	noErrorNow(t, err)
	var found struct{ ID int }
	status, body := g.send(t, http.MethodGet, "/api/datasources/uid/logfence", "")
	if err := json.Unmarshal([]byte(body), &found); err != nil || status != http.StatusOK {
		t.Fatalf("the data source: %d %s", status, body)
	}
	g.id = found.ID
	return g
}

func (g *grafana) send(t *testing.T, method, path, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(body))
	noErrorNow(t, err)
	req.SetBasicAuth("admin", "admin")
	req.Header.Set("Content-Type", "application/json")
	resp, err := httpClient.Do(req)
	noErrorNow(t, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	noErrorNow(t, err)
	return resp.StatusCode, string(all)
}

func dashboard(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "deploy", "grafana", "logfence.json"))
	noErrorNow(t, err)
	return string(content)
}
