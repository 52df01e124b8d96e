package demo

import (
	"context"
	"html/template"
	"net/http"
)

// signInPage is a page to sign in: no script, nothing from elsewhere.
var signInPage = template.Must(template.New("sign-in").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in to the logfence demo</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 4rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }
label { display: block; margin-top: 1rem } input { font: inherit; width: 100%; box-sizing: border-box; padding: .4rem }
button { font: inherit; margin-top: 1.5rem; padding: .5rem 1.5rem } [role=alert] { color: #b00020 }
</style>
<main>
<h1>Sign in</h1>
{{with .Problem}}<p role="alert">{{.}}</p>{{end}}
<form method="post" action="/sign-in">
<input type="hidden" name="` + signInField + `" value="{{.Request}}">
<label>Name <input name="name" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button>
</form>
<p>This is a demo. There are:</p>
<ul>{{range .Users}}<li>{{.}}</li>{{end}}</ul>
<p>Everybody's password is the name.</p>
</main>
</html>
`))

func (s *signIns) showPage(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get(signInField)
	if _, err := s.get(id); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writePage(w, http.StatusOK, id, "")
}

// takePage takes what the page sends, and sends the browser on to callback's URL, where the provider
// gives it the code.
func (s *signIns) takePage(callback func(context.Context, string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<12)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "not a form", http.StatusBadRequest)
			return
		}
		id := r.PostForm.Get(signInField)
		who, ok := personBy(func(p Person) bool { return p.Name == r.PostForm.Get("name") })
		if !ok || r.PostForm.Get("password") != who.Name {
			s.showAgain(w, id)
			return
		}
		if err := s.finish(id, who); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, callback(r.Context(), id), http.StatusSeeOther)
	}
}

func (s *signIns) showAgain(w http.ResponseWriter, id string) {
	if _, err := s.get(id); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writePage(w, http.StatusUnauthorized, id, "Name or password is wrong.")
}

func writePage(w http.ResponseWriter, status int, id, problem string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = signInPage.Execute(w, map[string]any{"Request": id, "Problem": problem, "Users": Users}) // the client may be gone
}
