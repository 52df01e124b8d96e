package main

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// document is what a provider serves at a URL.
type document struct {
	Status int // 0: 200
	Body   any
	Gzip   bool   // compressed, although nobody requested it
	Mark   bool   // after a byte-order mark
	Rule   string // bearer: with the provider's secret only; redirect: elsewhere on the same host; slow: after the test
}

// providerSecret is the token of rule bearer.
const providerSecret = "of-the-service-account"

// testProvider serves the documents of all cases over TLS, each under a path of its own.
type testProvider struct {
	keys      testKeys
	server    *httptest.Server
	loki      string
	documents map[string]document // by path
	end       chan struct{}
}

func startProvider(t *testing.T, keys testKeys) *testProvider {
	t.Helper()
	p := &testProvider{keys: keys, documents: map[string]document{}, end: make(chan struct{})}
	p.server = httptest.NewTLSServer(p)
	t.Cleanup(p.server.Close)
	t.Cleanup(func() { close(p.end) }) // before the server waits for its handlers
	loki := httptest.NewServer(fakeLoki("3.7.8"))
	t.Cleanup(loki.Close)
	p.loki = loki.URL
	return p
}

// serve serves the documents of a case, and returns its URL. It comes before the first process.
func (p *testProvider) serve(n int, documents map[string]document) string {
	path := fmt.Sprintf("/case-%d", n)
	for url, d := range documents {
		text, _ := json.Marshal(d.Body) // it comes from JSON
		filled := p.keys.fill(strings.ReplaceAll(string(text), providerURL, p.server.URL+path))
		d.Body = json.RawMessage(filled)
		p.documents[path+strings.TrimPrefix(url, providerURL)] = d
	}
	return p.server.URL + path
}

func (p *testProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, ok := p.documents[r.URL.Path]
	switch {
	case !ok || d.Status == http.StatusNotFound:
		http.NotFound(w, r)
		return
	case d.Rule == "bearer" && r.Header.Get("Authorization") != "Bearer "+providerSecret:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case d.Rule == "redirect" && r.URL.RawQuery == "":
		http.Redirect(w, r, r.URL.Path+"?moved", http.StatusFound)
		return
	case d.Rule == "slow":
		select {
		case <-p.end:
		case <-r.Context().Done():
		}
		return
	case d.Status != 0:
		w.WriteHeader(d.Status)
		return
	}
	body, _ := d.Body.(json.RawMessage)
	if d.Mark {
		body = append([]byte("\xef\xbb\xbf"), body...)
	}
	if d.Gzip {
		var small bytes.Buffer
		zip := gzip.NewWriter(&small)
		_, _ = zip.Write(body) // into memory
		_ = zip.Close()
		w.Header().Set("Content-Encoding", "gzip")
		body = small.Bytes()
	}
	_, _ = w.Write(body) // an error is the client's
}

// writeFiles writes the files that settings of the cases name.
func (p *testProvider) writeFiles(t *testing.T, dir string) {
	t.Helper()
	public, err := x509.MarshalPKIXPublicKey(p.keys["p256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"ca.pem":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw}),
		"alb.pem":  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"k8s.jwks": []byte(p.keys.fill(`{"keys":[{"kty":"RSA","n":"<n of key rsa>","e":"AQAB","kid":"s1","alg":"RS256","use":"sig"}]}`)),
		"bearer":   []byte(providerSecret + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// testKeys are the providers' keys by their names in the file.
type testKeys map[string]crypto.Signer

func newTestKeys(t *testing.T) testKeys {
	t.Helper()
	k := testKeys{}
	for name, bits := range map[string]int{"rsa": 2048, "rsa2": 2048, "rsa1024": 1024} {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		k[name] = private
	}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k[name] = private
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k["ed"] = private
	return k
}

// fill puts the public keys' members in the places that a document leaves for them.
func (k testKeys) fill(text string) string {
	const zero = ", with a zero byte in front"
	var pairs []string
	add := func(member, name string, value []byte) {
		for suffix, bytes := range map[string][]byte{"": value, zero: append([]byte{0}, value...)} {
			pairs = append(pairs, "<"+member+" of key "+name+suffix+">", base64.RawURLEncoding.EncodeToString(bytes))
		}
	}
	for name, private := range k {
		switch public := private.Public().(type) {
		case *rsa.PublicKey:
			add("n", name, public.N.Bytes())
		case *ecdsa.PublicKey:
			point, _ := public.Bytes() // 4, x, y
			size := (len(point) - 1) / 2
			add("x", name, point[1:1+size])
			add("y", name, point[1+size:])
		case ed25519.PublicKey:
			add("x", name, public)
		}
	}
	text = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(text)
	return strings.NewReplacer(pairs...).Replace(text)
}

// token signs the claims of a case. "DROP" leaves a claim out, $now is a number of seconds from now, and exp and
// iat have a value by default.
func (k testKeys) token(t *testing.T, c identityCase) string {
	t.Helper()
	claims := map[string]any{"exp": time.Now().Add(10 * time.Minute).Unix(), "iat": time.Now().Unix()}
	for name, value := range c.Claims {
		if claims[name] = dated(value); value == "DROP" {
			delete(claims, name)
		}
	}
	header, _ := json.Marshal(dated(c.Header)) // both come from JSON
	body, _ := json.Marshal(claims)
	encoding := base64.RawURLEncoding
	if c.Padded {
		encoding = base64.URLEncoding
	}
	text := encoding.EncodeToString(header) + "." + encoding.EncodeToString(body)
	algorithm := jwa.SignatureAlgorithm(fmt.Sprint(c.Header["alg"]))
	var private any
	switch {
	case c.Header["kid"] == "hidden":
		private = k["rsa2"] // which no document of that issuer has
	case algorithm == "Ed25519":
		algorithm, private = jwa.EdDSA, k["ed"]
	case algorithm == jwa.HS256:
		private = []byte("a secret of the client, 32 bytes or more")
	default:
		private = map[jwa.SignatureAlgorithm]crypto.Signer{
			jwa.RS256: k["rsa"], jwa.ES256: k["p256"], jwa.ES384: k["p384"], jwa.ES512: k["p521"], jwa.EdDSA: k["ed"],
		}[algorithm]
	}
	signer, err := jws.NewSigner(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signer.Sign([]byte(text), private)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encoding.EncodeToString(signature)
}

// dated replaces {"$now": seconds} in a value, at any depth.
func dated(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = dated(value[i])
		}
	case map[string]any:
		seconds, ok := value["$now"].(json.Number)
		if !ok {
			for name := range value {
				value[name] = dated(value[name])
			}
			return value
		}
		offset, _ := seconds.Int64() // as the file has it
		at := time.Now().Unix() + offset
		switch value["$form"] {
		case "string":
			return fmt.Sprint(at)
		case "fraction":
			return json.Number(fmt.Sprintf("%d.5", at))
		case "exponent":
			return json.Number(fmt.Sprintf("%de-1", at*10))
		default:
			return at
		}
	}
	return value
}
