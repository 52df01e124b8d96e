package auth

import (
	"regexp"
	"slices"
	"strings"
)

// The issuer of a multi-tenant application of Microsoft Entra ID is a template: each token has the issuer with its
// own directory (`tid`) in place of {tenantid}, and one document of keys serves all directories.
// https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-the-issuer

const (
	directoryPlace = "{tenantid}"
	entraTemplate  = "https://login.microsoftonline.com/{tenantid}/v2.0"
	maxDirectories = 4096
)

var directoryID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// isTemplate reports whether the issuer stands for those of several directories.
func (iss Issuer) isTemplate() bool { return strings.Contains(iss.URL, directoryPlace) }

// isSharedDirectory reports whether the URL is that of an Entra endpoint that several directories share.
func isSharedDirectory(url string) bool {
	for _, name := range []string{"/common/", "/organizations/", "/consumers/"} {
		if strings.Contains(url+"/", name) {
			return true
		}
	}
	return false
}

// isEntra reports whether the issuer is one of Microsoft Entra ID.
func (iss Issuer) isEntra() bool {
	return isHost(iss.URL, "login.microsoftonline.com") || isHost(iss.URL, "sts.windows.net")
}

// inDirectory is the issuer of a directory's tokens.
func inDirectory(template, directory string) string {
	return strings.Replace(template, directoryPlace, directory, 1)
}

// ofDirectory picks the issuer of a template by the token's directory, which must be listed. Its second result says
// why there is none, where the token is of a template's.
func (v *Verifier) ofDirectory(name string, claims map[string]any) (*issuer, error) {
	directory, ok := claims["tid"].(string)
	if !ok {
		return nil, nil // no template's
	}
	for _, iss := range v.templates {
		if name != inDirectory(iss.url, directory) {
			continue
		}
		if iss.directories[directory] {
			return iss, nil
		}
		return nil, invalid("issuer %s is of the directory %s, which directories does not list", shorten(name), shorten(directory))
	}
	return nil, nil // no template's
}

// signsFor reports whether a key of a template's document may sign for the token's issuer: the key's own `issuer`
// is the template, or the issuer of the one directory that the key is for.
func (k key) signsFor(template string, t *token) bool {
	if template == "" {
		return true
	}
	name, _ := t.claims["iss"].(string)
	directory, _ := t.claims["tid"].(string)
	return k.issuer != "" && inDirectory(k.issuer, directory) == name
}

// validateDirectories checks Directories.
func (iss Issuer) validateDirectories(report reporter) {
	switch {
	case !iss.isTemplate() && iss.Directories != nil:
		report("Directories", "given without %s in the issuer; write the issuer %s", directoryPlace, entraTemplate)
		return
	case !iss.isTemplate():
		if iss.discovers() && isSharedDirectory(iss.URL) && strings.Contains(iss.URL, "login.microsoftonline.com/") {
			report("URL", "%s is no issuer of tokens, since several directories share it; write %s, and the directories", shorten(iss.URL), entraTemplate)
		}
		return
	case strings.Count(iss.URL, directoryPlace) > 1:
		report("URL", "has %s more than once; write %s", directoryPlace, entraTemplate)
	case len(iss.Directories) == 0:
		report("Directories", "required with %s in the issuer; without it every directory of Entra ID, and every personal account, could sign in; list the directories' IDs", directoryPlace)
	case len(iss.Directories) > maxDirectories:
		report("Directories", "%d directories; at most %d are accepted", len(iss.Directories), maxDirectories)
		return
	case len(iss.Directories) > 1 && iss.TenantClaim != "tid" && !iss.AnyTenant && !iss.ByGrants:
		report("Directories", "several directories may name the same tenants; write tenant_claim: tid, "+
			"or each directory as an issuer of its own with its tenants, or any_tenant: true if each may name every tenant")
	}
	for i, id := range iss.Directories {
		switch {
		case !directoryID.MatchString(id):
			report("Directories", "%s is not the ID of a directory; write its GUID in lower case", shorten(id))
		case slices.Contains(iss.Directories[:i], id):
			report("Directories", "%q is given twice; write it once", id)
		}
	}
}
