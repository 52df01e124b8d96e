package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/config"
)

// TestComposeSettings guarantees that logfence takes its settings in compose.yaml, and that the provider
// there issues the tokens that they require. (internal/tools/compose holds the file against Compose's
// own rules.)
func TestComposeSettings(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
		}
	}
	read(t, "compose.yaml", &compose)
	var env []string
	for name, value := range compose.Services["logfence"].Environment {
		env = append(env, name+"="+strings.Replace(value, "/etc/logfence/", "compose/", 1)) // as the volume has it
	}
	c, err := config.Load(env, "")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("compose/realm.json")
	if err != nil {
		t.Fatal(err)
	}
	var realm struct {
		Realm   string
		Users   []struct{ Groups []any }
		Clients []struct {
			ClientID        string
			ProtocolMappers []struct{ Config map[string]string }
		}
	}
	if err := json.Unmarshal(content, &realm); err != nil {
		t.Fatal(err)
	}
	issuer := c.Auth.Issuers[0]
	if !strings.HasSuffix(issuer.URL, "/realms/"+realm.Realm) || len(realm.Clients) == 0 {
		t.Errorf("the issuer is %s, of the realm %s", issuer.URL, realm.Realm)
	}
	for _, user := range realm.Users {
		if _, err := c.Access().Resolve(issuer.URL, map[string]any{"groups": user.Groups}); err != nil {
			t.Errorf("%v: %v", user.Groups, err)
		}
	}
	for _, client := range realm.Clients {
		claims := map[string]bool{}
		for _, m := range client.ProtocolMappers {
			claims["aud "+m.Config["included.custom.audience"]] = true
			claims[m.Config["claim.name"]] = true
		}
		if !slices.ContainsFunc(issuer.Audiences, func(aud string) bool { return claims["aud "+aud] }) || !claims[c.Access().Grants()[0].When[0].Claim] {
			t.Errorf("the tokens of %s have %v", client.ClientID, claims)
		}
	}
}

// TestDockerfileGo guarantees that the image is built by the Go of go.mod's toolchain line, as releases are.
func TestDockerfileGo(t *testing.T) {
	t.Parallel()
	version := func(file, pattern string) string {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(content)
		if m == nil {
			t.Fatalf("%s has no %s", file, pattern)
		}
		return string(m[1])
	}
	image, line := version("Dockerfile", `golang:(\d+\.\d+\.\d+)-`), version("../go.mod", `\ntoolchain go(\d+\.\d+\.\d+)\n`)
	if image != line {
		t.Errorf("the image is built by Go %s, and go.mod says %s", image, line)
	}
}

// TestDataSources guarantees that Grafana's data sources in the compose file look for no rules in Loki, and that only the
// one for alerts has a token of its own: the other forwards its user's.
func TestDataSources(t *testing.T) {
	t.Parallel()
	var provisioned struct {
		Datasources []struct {
			UID            string            `yaml:"uid"`
			URL            string            `yaml:"url"`
			JSONData       map[string]any    `yaml:"jsonData"`
			SecureJSONData map[string]string `yaml:"secureJsonData"`
		}
	}
	read(t, "compose/datasource.yaml", &provisioned)
	passThrough := map[string]bool{"logfence": true, "logfence-alerts": false}
	if len(provisioned.Datasources) != len(passThrough) {
		t.Fatalf("%d data sources", len(provisioned.Datasources))
	}
	for _, d := range provisioned.Datasources {
		forwards, known := passThrough[d.UID]
		header := d.JSONData["httpHeaderName1"] == "Authorization" && d.SecureJSONData["httpHeaderValue1"] == "Bearer $LOGFENCE_ALERTS_TOKEN"
		if !known || d.JSONData["manageAlerts"] != false || (d.JSONData["oauthPassThru"] == true) != forwards || header == forwards {
			t.Errorf("%s: %v", d.UID, d)
		}
	}
}

// TestDashboardRequires guarantees that the dashboard names the oldest Grafana that shows it, and has no panel that is newer.
func TestDashboardRequires(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("grafana/logfence.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Requires    []struct{ ID, Version string } `json:"__requires"`
		Description string
		Panels      []struct{ Type string }
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Requires) == 0 || dashboard.Requires[0].ID != "grafana" || dashboard.Requires[0].Version != "8.3.0" ||
		!strings.Contains(dashboard.Description, "Grafana 8.3") {
		t.Errorf("it requires %v and says %q", dashboard.Requires, dashboard.Description)
	}
	for _, p := range dashboard.Panels {
		if !slices.Contains([]string{"row", "stat", "timeseries", "table", "text", "gauge", "bargauge", "heatmap", "logs", "piechart", "state-timeline"}, p.Type) {
			t.Errorf("Grafana 8.3 may have no panel %s", p.Type)
		}
	}
}
