package web

import (
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"
)

// TestLinksAreStrict guarantees that a rule leads to one literal host over https, replaces nothing but what it names,
// and has no regular expression that a line could keep busy.
func TestLinksAreStrict(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"trace_id=https://tempo.example.com/trace/{value}":                      "",
		"trace_id=https://tempo.example.com:8443/?id={value}#{value}":           "",
		`/(?i)\b([A-Z]{2,5})-(\d+)\b/=https://jira.example.com/browse/{1}-{2}`:  "",
		`/order (\w+)/=https://shop.example.com/orders/{1}?line={value}`:        "",
		"trace_id=http://tempo.example.com/{value}":                             "begins with https://",
		"trace_id=javascript:alert({value})":                                    "begins with https://",
		"trace_id=https://{value}/":                                             "a literal host",
		"trace_id=https://tempo.example.com{value}":                             "a literal host",
		"trace_id=https://tempo.example.com":                                    "a literal host",
		"trace_id=https://user:pass@tempo.example.com/{value}":                  "a literal host",
		"trace_id=https://tempo.example.com\\@evil.example/{value}":             "a literal host",
		"trace_id=https:///x/{value}":                                           "a literal host",
		"trace_id=https://tempo.example.com/trace":                              "has no {value}",
		"trace_id=https://tempo.example.com/{1}":                                "neither {value} nor a group",
		"trace_id=https://tempo.example.com/{trace_id}":                         "neither {value} nor a group",
		"trace_id=https://tempo.example.com/{{value}}":                          "is not a URL",
		"trace_id=https://tempo.example.com/a b/{value}":                        "percent-encode it",
		"trace_id=https://tempo.example.com/\"/{value}":                         "percent-encode it",
		"trace id=https://tempo.example.com/{value}":                            "is not FIELD=TEMPLATE",
		"https://tempo.example.com/{value}":                                     "is not FIELD=TEMPLATE",
		"":                                                                      "is not FIELD=TEMPLATE",
		`/(a+)+$/=https://a.example/{value}`:                                    "not simple",
		`/a*b*c*/=https://a.example/{value}`:                                    "not simple",
		`/(a|b)*/=https://a.example/{value}`:                                    "not simple",
		`/\pL/=https://a.example/{value}`:                                       "not simple",
		`/a(/=https://a.example/{value}`:                                        "cannot be read",
		`//=https://a.example/{value}`:                                          "not simple",
		`/(\d+)/=https://a.example/{2}`:                                         "neither {value} nor a group",
		`/(\d+)/=http://a.example/{1}`:                                          "is not /REGEXP/=TEMPLATE",
		"a=https://a.example/" + strings.Repeat("x", maxLinkLength) + "{value}": "too long",
	} {
		err := Links{rule}.Validate()
		if want == "" && err != nil {
			t.Errorf("%s: %v", rule, err)
		} else if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", rule, err, want)
		}
	}
	if err := make(Links, maxLinks+1).Validate(); err == nil || !strings.Contains(err.Error(), "at most 50") {
		t.Errorf("51 rules: %v", err)
	}
}

// TestLinksReachThePage guarantees that the page has the rules as they were written, with and without sign-in.
func TestLinksReachThePage(t *testing.T) {
	t.Parallel()
	want := Links{`/<b>"(\d+)/=https://a.example/{1}`}
	for _, login := range []OIDCLogin{{}, {Issuer: "https://id.example.com", ClientID: "logs", Scopes: "openid"}} {
		pages, err := Explore(Settings{OIDCLogin: login, Links: want}, nil)
		if err != nil {
			t.Fatal(err)
		}
		meta := regexp.MustCompile(`<meta name="logfence" content="([^"<>]*)" />`).FindStringSubmatch(serve(t, pages[ExplorePath]).Body.String())
		if meta == nil {
			t.Fatal("the page has no settings")
		}
		var got Settings
		if err := json.Unmarshal([]byte(html.UnescapeString(meta[1])), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Links) != 1 || got.Links[0] != want[0] || got.ClientID != login.ClientID {
			t.Errorf("the page has %+v", got)
		}
	}
}
