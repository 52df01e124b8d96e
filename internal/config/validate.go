package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/limits"
)

// validate has every package validate its part, and reports the errors under the names
// that the operator wrote.
func (d *loader) validate() {
	header, err := audit.ParseClientAddressHeader(d.ClientAddressHeader)
	if err != nil {
		d.attribute(fielderror.New("ClientAddressHeader", "%w", err))
	}
	d.ClientAddressHeader, d.TrustedProxies = header, d.TrustedProxies.Reading(header)
	d.attribute(errors.Join(
		fielderror.Within("Loki", d.Loki.Validate()), d.validateListeners(), d.validateClients(),
		fielderror.Within("Auth", d.Auth.Validate()), fielderror.Within("Tenancy", d.Tenancy.Validate()),
		fielderror.Within("Limits", d.Limits.Validate()), fielderror.Within("Audit", d.Audit.Validate()),
		fielderror.Within("SignIn", d.SignIn.Validate()), fielderror.Within("UILinks", d.UILinks.Validate()),
	))
	d.validateIssuerFiles()
	d.validateLimitsFile()
	d.validateAccessFile()
}

// attribute puts each mistake under the setting that fills its field.
func (d *loader) attribute(err error) {
	for _, mistake := range fielderror.All(err) {
		d.attributeField(mistake.Field, inSettings(mistake.Problem.Error()))
	}
}

// attributeField puts a mistake under the setting that fills the field. What fits none is kept as it is: better an odd
// name than a mistake that is not reported.
func (d *loader) attributeField(field, problem string) {
	if d.issuers != nil {
		if name, line, ok := d.issuerPath(field); ok {
			d.bad.add(origin{file: d.bad.file, line: line}, name, problem)
			return
		}
	}
	for i := range settings {
		s := &settings[i]
		// Algorithms[2] is an item of the setting Algorithms.
		if s.field == "" || s.field != field && s.field != listItem.ReplaceAllString(field, "") {
			continue
		}
		if o, given := d.from[s.name]; given {
			d.bad.add(o, s.Name(), s.hide(problem, d.given[s.Name()].joined()))
		} else {
			d.bad.missing(s.Name(), problem)
		}
		return
	}
	d.bad.missing(field, problem)
}

var (
	listItem    = regexp.MustCompile(`\[\d+\]$`)
	issuerField = regexp.MustCompile(`^Auth\.Issuers(?:\[(\d+)\])?(?:\.(\w+)(\[\d+\])?)?$`)
)

// issuerPath is the path in the file of a field of the list of issuers.
func (d *loader) issuerPath(field string) (path string, line int, ok bool) {
	m := issuerField.FindStringSubmatch(field)
	switch {
	case m == nil:
		return "", 0, false
	case m[1] == "":
		return issuersKey, 0, true
	}
	i, err := strconv.Atoi(m[1])
	if err != nil || i >= len(d.issuers) {
		return issuersKey, 0, true
	}
	for _, k := range issuerKeys {
		if k.field == m[2] {
			return fmt.Sprintf("%s[%d].%s%s", issuersKey, i, k.key, m[3]), d.issuers[i].line, true
		}
	}
	return fmt.Sprintf("%s[%d]", issuersKey, i), d.issuers[i].line, true
}

// inSettings replaces the one field that another field's advice names.
func inSettings(problem string) string {
	return strings.ReplaceAll(problem, "with DangerouslyAllowHTTPJWKS", "with "+Prefix+"DANGEROUSLY_ALLOW_HTTP_JWKS=true")
}

// validateListeners checks what is this package's own.
func (d *loader) validateListeners() error {
	errs := []error{checkAddress("Addr", d.Addr, ":8080"), checkAddress("AdminAddr", d.AdminAddr, "127.0.0.1:9090")}
	if d.Addr == d.AdminAddr && d.Addr != "" && !strings.HasSuffix(d.Addr, ":0") {
		errs = append(errs, fielderror.New("AdminAddr", "%q is the API's address, too; the admin listener requires no token, keep it apart", d.AdminAddr))
	}
	for _, o := range d.CORSOrigins {
		if problem := checkOrigin(o); problem != "" {
			errs = append(errs, fielderror.New("CORSOrigins", "%s", problem))
		}
	}
	if d.MetricsTenants < 0 {
		errs = append(errs, fielderror.New("MetricsTenants", "%d is negative; write 0 or more", d.MetricsTenants))
	}
	return errors.Join(append(errs, d.validateTLS(), d.validateDrain(), d.validateBasePath())...)
}

// maxDrain is for the slip of a unit; a supervisor kills logfence long before.
const maxDrain = time.Hour

func (d *loader) validateDrain() error {
	var errs []error
	if d.DrainDelay < 0 || d.DrainDelay > maxDrain {
		errs = append(errs, fielderror.New("DrainDelay", "%s; write 0s to %s, such as 5s", d.DrainDelay, maxDrain))
	}
	if d.DrainTimeout < 0 || d.DrainTimeout > maxDrain {
		errs = append(errs, fielderror.New("DrainTimeout", "%s; write 0s to %s, such as 20s", d.DrainTimeout, maxDrain))
	}
	return errors.Join(errs...)
}

// validateClients checks what bounds requests before anybody has looked at them.
func (d *loader) validateClients() error {
	var errs []error
	for _, f := range []struct {
		name         string
		value, least int
	}{{"MaxBodyBytes", d.MaxBodyBytes, 1 << 10}, {"MaxHeaderBytes", d.MaxHeaderBytes, 4 << 10}} {
		if f.value < f.least {
			errs = append(errs, fielderror.New(f.name, "%d bytes let no request pass; write %d or more", f.value, f.least))
		}
	}
	if d.LokiTails < 1 {
		errs = append(errs, fielderror.New("LokiTails", "%d leaves no live tail; write 1 or more", d.LokiTails))
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"HeaderTimeout", d.HeaderTimeout}, {"ClientTimeout", d.ClientTimeout}, {"IdleTimeout", d.IdleTimeout}} {
		if f.value <= 0 {
			errs = append(errs, fielderror.New(f.name, "%s lets no client in; write more than 0s", f.value))
		}
	}
	if _, given := d.from["MEMORY_BUDGET"]; given && d.Limits.Memory == 0 {
		errs = append(errs, fielderror.New("Limits.Memory", "must be at least %dMiB (got 0); leave the variable out for half of the process's memory limit", limits.MinMemory>>20))
	}
	return errors.Join(errs...)
}

func checkAddress(field, address, example string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		if _, alone := strconv.ParseUint(address, 10, 16); alone == nil {
			return fielderror.New(field, "%q is a port alone; did you mean %q?", address, ":"+address)
		}
		return fielderror.New(field, "%q is not host:port; write an address such as %s", address, example)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fielderror.New(field, "%q has no port from 0 to 65535; write an address such as %s", address, example)
	}
	if strings.ContainsAny(host, "/@ ") {
		return fielderror.New(field, "%q has no host name before the port; write an address such as %s", address, example)
	}
	return nil
}

// checkOrigin takes an origin as browsers send it (RFC 6454 section 6.2), since it is compared exactly.
func checkOrigin(origin string) string {
	switch origin {
	case "*":
		return `"*" would let every page on the web read with its visitor's token; name the origins`
	case "null":
		return `"null" is every sandboxed page and local file; name the origins`
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Sprintf("%s is not an origin; write scheme and host such as https://grafana.example.com", quoteUnlessUser(origin, u))
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	if exact := u.Scheme + "://" + host; exact != origin {
		return fmt.Sprintf("%q is not how browsers send an origin; did you mean %q?", origin, exact)
	}
	return ""
}

func quoteUnlessUser(s string, u *url.URL) string {
	if u == nil || u.User != nil {
		return "an item"
	}
	return strconv.Quote(s)
}

// validateTLS reads the certificate: found missing when the first client connects would be late.
func (d *loader) validateTLS() error {
	switch {
	case d.TLSCertFile == "" && d.TLSKeyFile == "":
		return nil
	case d.TLSKeyFile == "":
		return fielderror.New("TLSKeyFile", "required beside the certificate; name the file of its private key")
	case d.TLSCertFile == "":
		return fielderror.New("TLSCertFile", "required beside the key; name the file of its certificate chain")
	}
	if _, err := tls.LoadX509KeyPair(d.TLSCertFile, d.TLSKeyFile); err != nil {
		return fielderror.New("TLSCertFile", "certificate and key cannot be used: %w", err)
	}
	return nil
}

// validateIssuerFiles reads the files of issuers that are valid otherwise; nothing is fetched for it.
func (d *loader) validateIssuerFiles() {
	if d.Auth.Validate() == nil {
		d.attribute(fielderror.Within("Auth", d.Auth.ValidateFiles()))
	}
}
