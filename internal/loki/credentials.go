package loki

import (
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
)

// credentialFile returns the file of the Authorization header and its parser; "" if there is none.
func (c Config) credentialFile() (path string, parse func(string) (string, error)) {
	switch {
	case c.BearerTokenFile != "":
		return c.BearerTokenFile, bearer
	default:
		return c.BasicAuthFile, basic
	}
}

// bearer and basic make a header from a file's text. Their errors never quote it.

func bearer(token string) (string, error) {
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("not a token; write it alone on one line, in ASCII")
	}
	return "Bearer " + token, nil
}

func basic(pair string) (string, error) {
	user, _, ok := strings.Cut(pair, ":")
	if !ok || user == "" || strings.ContainsAny(pair, "\r\n\x00") {
		return "", errors.New("not user:password; write both on one line, with a colon between")
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)), nil
}

// readCredential reads the Authorization header; "" if there is no file. The line break at the end of a file is
// not part of the secret.
func (c Config) readCredential(changed func(error)) (*fileValue[string], error) {
	path, parse := c.credentialFile()
	if path == "" {
		return &fileValue[string]{}, nil
	}
	return newFileValue([]string{path}, func(contents [][]byte) (string, error) {
		return parse(strings.TrimRight(string(contents[0]), "\r\n"))
	}, changed)
}

// authorize adds the credentials, of the file or of the URL.
func (c *Client) authorize(r *http.Request, e *upstream) {
	if header := c.credential.get(); header != "" {
		r.Header.Set("Authorization", header)
		return
	}
	if e.user != nil {
		password, _ := e.user.Password()
		r.SetBasicAuth(e.user.Username(), password)
	}
}

// Warnings returns what is allowed but rarely intended. They hold no secret.
func (c Config) Warnings() []string {
	upstreams, err := parseURLs(c.URL)
	if err != nil {
		return nil
	}
	file, _ := c.credentialFile()
	var warnings []string
	for _, e := range upstreams {
		if (file != "" || e.user != nil) && e.base.Scheme == "http" && !isLoopback(e.base.Hostname()) {
			warnings = append(warnings, "credentials are sent to "+e.name()+" in plain text; use https")
		}
	}
	return warnings
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
