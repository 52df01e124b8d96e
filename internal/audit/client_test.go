package audit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestClient guarantees which addresses are believed to be a request's source: a caller cannot put on
// another's address, whatever headers it sends.
func TestClient(t *testing.T) {
	proxies, err := ParseTrustedProxies([]string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	type header = map[string][]string
	for _, tt := range []struct {
		name, peer string
		header     header
		want       string
	}{
		{"no proxy", "198.51.100.1:999", nil, "198.51.100.1"},
		{"IPv6", "[2001:1::1]:999", nil, "2001:1::1"},
		{"IPv4 in IPv6", "[::ffff:198.51.100.1]:999", nil, "198.51.100.1"},
		{"a caller that claims another's address", "198.51.100.1:999", header{"X-Forwarded-For": {"203.0.113.9"}, "Forwarded": {"for=203.0.113.9"}}, "198.51.100.1"},
		{"through a proxy", "10.0.0.1:999", header{"X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9"},
		{"through a proxy that adds no header", "10.0.0.1:999", nil, "10.0.0.1"},
		{"through a proxy over IPv4 in IPv6", "[::ffff:10.0.0.1]:999", header{"X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9"},
		{"through two proxies", "10.0.0.1:999", header{"X-Forwarded-For": {"203.0.113.9, 192.0.2.1"}}, "203.0.113.9"},
		{"the left part was written by the caller", "10.0.0.1:999", header{"X-Forwarded-For": {"192.0.2.77, 203.0.113.9, 192.0.2.1"}}, "203.0.113.9"},
		{"a proxy that adds a line", "10.0.0.1:999", header{"X-Forwarded-For": {"192.0.2.77", "203.0.113.9"}}, "203.0.113.9"},
		{"all of them proxies", "10.0.0.1:999", header{"X-Forwarded-For": {"10.0.0.3, 10.0.0.2"}}, "10.0.0.1"},
		{"with a port", "10.0.0.1:999", header{"X-Forwarded-For": {"203.0.113.9:1234"}}, "203.0.113.9"},
		{"IPv6 with a port", "10.0.0.1:999", header{"X-Forwarded-For": {"[2001:1::1]:1234"}}, "2001:1::1"},
		{"IPv6 in brackets", "10.0.0.1:999", header{"X-Forwarded-For": {"[2001:1::1]"}}, "2001:1::1"},
		{"a zone is any text", "10.0.0.1:999", header{"X-Forwarded-For": {"fe80::1%x\"y"}}, "fe80::1"},
		{"what is no address", "10.0.0.1:999", header{"X-Forwarded-For": {"203.0.113.9, unknown, 192.0.2.1"}}, "10.0.0.1"},
		{"no particular address", "10.0.0.1:999", header{"X-Forwarded-For": {"0.0.0.0"}}, "10.0.0.1"},
		{"an IPv4 address with a zone", "10.0.0.1:999", header{"X-Forwarded-For": {"203.0.113.9%x"}}, "10.0.0.1"},
		{"a trusted network in IPv6 notation", "10.0.0.1:999", header{"X-Forwarded-For": {"203.0.113.9, ::ffff:10.0.0.2"}}, "203.0.113.9"},
		{"empty", "10.0.0.1:999", header{"X-Forwarded-For": {""}}, "10.0.0.1"},
		{"Forwarded", "10.0.0.1:999", header{"Forwarded": {`for=192.0.2.77, for=203.0.113.9;proto=https;by=10.0.0.1`}}, "203.0.113.9"},
		{"Forwarded, quoted", "10.0.0.1:999", header{"Forwarded": {`proto=https; FOR="[2001:1::1]:4711"`}}, "2001:1::1"},
		{"Forwarded, hidden", "10.0.0.1:999", header{"Forwarded": {`for=203.0.113.9, for=_hidden`}}, "10.0.0.1"},
		{"Forwarded, without a for", "10.0.0.1:999", header{"Forwarded": {`for=203.0.113.9, proto=https`}}, "10.0.0.1"},
		{"Forwarded, two in one", "10.0.0.1:999", header{"Forwarded": {`for=203.0.113.9;for=192.0.2.77`}}, "10.0.0.1"},
		{"Forwarded, with the caller's host", "10.0.0.1:999", header{"Forwarded": {`for=203.0.113.9;host="a:80"`}}, "203.0.113.9"},
		{"Forwarded, a separator in quotes", "10.0.0.1:999", header{"Forwarded": {`for=203.0.113.9;host="a,for=192.0.2.77;b\", for=192.0.2.78"`}}, "10.0.0.1"},
		{"Forwarded, an element in quotes", "10.0.0.1:999", header{"Forwarded": {`for=203.0.113.9;host="a, for=192.0.2.77;b"`}}, "10.0.0.1"},
		{"Forwarded, a pair in quotes", "10.0.0.1:999", header{"Forwarded": {`host="a;for=192.0.2.77";for=203.0.113.9`}}, "10.0.0.1"},
		{"Forwarded, a quote left open before the proxy's element", "10.0.0.1:999", header{"Forwarded": {`for=192.0.2.77;host="`, `for=203.0.113.9`}}, "10.0.0.1"},
		// A proxy writes one header and passes the other on.
		{"both, and Forwarded is the caller's", "10.0.0.1:999", header{"X-Forwarded-For": {"203.0.113.9"}, "Forwarded": {"for=192.0.2.77"}}, "203.0.113.9"},
		{"nothing but a Forwarded of the caller's", "10.0.0.1:999", header{"Forwarded": {"for=192.0.2.77"}}, "10.0.0.1"},
		{"Forwarded, and X-Forwarded-For is the caller's", "10.0.0.1:999", header{"X-Forwarded-For": {"192.0.2.77"}, "Forwarded": {"for=203.0.113.9"}}, "203.0.113.9"},
		{"both, and both forged before the proxy's own", "10.0.0.1:999", header{"X-Forwarded-For": {"192.0.2.77, 203.0.113.9"}, "Forwarded": {"for=192.0.2.78"}}, "203.0.113.9"},
		{"Forwarded, and both forged before the proxy's own", "10.0.0.1:999", header{"X-Forwarded-For": {"192.0.2.77"}, "Forwarded": {"for=192.0.2.78, for=203.0.113.9"}}, "203.0.113.9"},
		{"no address at all", "@", nil, "invalid IP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tt.peer, Header: tt.header}
			by := proxies
			if strings.HasPrefix(tt.name, "Forwarded") {
				by = proxies.Reading("Forwarded")
			}
			if got := by.Client(r).String(); got != tt.want {
				t.Errorf("Client() = %s, want %s", got, tt.want)
			}
		})
	}
}

// TestClientCannotBeClaimed guarantees that whatever a caller writes into the header that its proxy adds
// to, the record shows the caller's own address or the proxy's.
func TestClientCannotBeClaimed(t *testing.T) {
	proxies, err := ParseTrustedProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	const caller = "203.0.113.9"
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"for=", "192.0.2.77", `"`, `\`, ",", ";", " ", "[", "]", "10.0.0.2", "host=", ":1"}))
		written := strings.Join(pieces.Draw(t, "written"), "")
		header := map[string][]string{}
		switch rapid.IntRange(0, 3).Draw(t, "header") {
		case 0:
			header["X-Forwarded-For"] = []string{written + ", " + caller}
		case 1:
			header["Forwarded"] = []string{written + `, for="` + caller + `:99"`}
		case 2:
			// The proxy quotes the caller's Host.
			quoted := strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(written)
			header["Forwarded"] = []string{`for="` + caller + `:99";host="` + quoted + `"`}
		case 3:
			header["Forwarded"], header["X-Forwarded-For"] = []string{written}, []string{caller}
		}
		by := proxies
		if rapid.Bool().Draw(t, "forwarded") {
			by = proxies.Reading("Forwarded")
		}
		if len(header) == 2 {
			by = proxies // the proxy writes X-Forwarded-For
		}
		got := by.Client(&http.Request{RemoteAddr: "10.0.0.1:99", Header: header}).String()
		if got != caller && got != "10.0.0.1" {
			t.Fatalf("%q is taken for %s", header, got)
		}
	})
}

// TestParseTrustedProxies guarantees that a network that covers more than it names is refused.
func TestParseTrustedProxies(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"0.0.0.0/0", "every address"},
		{"::/0", "every address"},
		{"10.0.0.1/8", `did you mean "10.0.0.0/8"?`},
		{"proxy.example", "not a network"},
		{"10.0.0.0-10.0.0.9", "not a network"},
		{"fe80::1%eth0", "not a network"},
		{"::ffff:10.0.0.0/104", "not a network"},
		{"", "not a network"},
	} {
		if _, err := ParseTrustedProxies([]string{"192.0.2.1", tt.in}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseTrustedProxies(%q): %v, want %q in it", tt.in, err, tt.want)
		}
	}
	got, err := ParseTrustedProxies([]string{"::ffff:192.0.2.1", "2001:db8::/32"})
	if err != nil || !slices.Equal(got.networks, []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32")}) {
		t.Errorf("ParseTrustedProxies: %v, %v", got, err)
	}
}

// TestParseClientAddressHeader guarantees that a header is refused which nothing here reads.
func TestParseClientAddressHeader(t *testing.T) {
	for in, want := range map[string]string{
		"X-Forwarded-For": "X-Forwarded-For", "x-forwarded-for": "X-Forwarded-For", "forwarded": "Forwarded", "X-Real-IP": "", "": "",
	} {
		if got, err := ParseClientAddressHeader(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseClientAddressHeader(%q) = %q, %v", in, got, err)
		}
	}
}
