package demo

import (
	"slices"
	"strings"
)

// Person is somebody who may sign in. The password is the name: the demo protects nothing.
type Person struct {
	Name    string
	Tenants []string
}

// Users are those of the demo: one in one tenant, and one in both.
var Users = []Person{
	{Name: Ana, Tenants: []string{Alpha}},
	{Name: Ben, Tenants: []string{Alpha, Beta}},
}

// Their names.
const (
	Ana = "ana"
	Ben = "ben"
)

// subject is what tokens call them.
func (p Person) subject() string { return p.Name + "@demo.example" }

// tenantClaim is a text for one tenant and a list for several, as providers tend to send it.
func (p Person) tenantClaim() any {
	if len(p.Tenants) == 1 {
		return p.Tenants[0]
	}
	return slices.Clone(p.Tenants)
}

func (p Person) String() string { return p.Name + " (" + strings.Join(p.Tenants, " and ") + ")" }

// personBy finds a person, by whatever tells them apart.
func personBy(is func(Person) bool) (Person, bool) {
	i := slices.IndexFunc(Users, is)
	if i < 0 {
		return Person{}, false
	}
	return Users[i], true
}
