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
		env = append(env, name+"="+value)
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
	for _, client := range realm.Clients {
		claims := map[string]bool{}
		for _, m := range client.ProtocolMappers {
			claims["aud "+m.Config["included.custom.audience"]] = true
			claims[m.Config["claim.name"]] = true
		}
		if !slices.ContainsFunc(issuer.Audiences, func(aud string) bool { return claims["aud "+aud] }) || !claims[issuer.TenantClaim] {
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
