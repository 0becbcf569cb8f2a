package devidp

import "github.com/sallyport/sallyport/session"

// Side is which of the demo's two identity providers somebody belongs to.
type Side string

const (
	Vendor   Side = "vendor"   // Meridian Imaging Service
	Hospital Side = "hospital" // Northfield General
)

// Name is the organisation behind a side.
func (s Side) Name() string {
	if s == Vendor {
		return "Meridian Imaging Service"
	}
	return "Northfield General"
}

// Persona is one of the demo's people. All are fictional.
type Persona struct {
	Key  string // "engineer", "engineer2", "approver", "approver2", "auditor"
	Side Side
	Person
}

// Personas lists the people of the demo.
func Personas() []Persona {
	return []Persona{
		{"engineer", Vendor, Person{
			Sub: "b1f7c8a04e3d4c56", Email: "j.brandt@meridian.example", Name: "Jana Brandt",
			Title: "Field service engineer, Germany", Groups: []string{session.GroupEngineers},
		}},
		{"engineer2", Vendor, Person{
			Sub: "5c02d96e7ab84f11", Email: "l.ortega@meridian.example", Name: "Luis Ortega",
			Title: "Remote service engineer, United States", Groups: []string{session.GroupEngineers},
		}},
		{"approver", Hospital, Person{
			Sub: "9e41a7d3520b4d8c", Email: "m.okafor@northfield.example", Name: "Maya Okafor",
			Title: "Hospital IT, on call", Groups: []string{session.GroupApprovers},
		}},
		{"approver2", Hospital, Person{
			Sub: "37d8f0c19b664ea2", Email: "e.rossi@northfield.example", Name: "Elena Rossi",
			Title: "Modality manager, radiology", Groups: []string{session.GroupApprovers},
		}},
		{"auditor", Hospital, Person{
			Sub: "c86b13ef04d74975", Email: "s.adeyemi@northfield.example", Name: "Sam Adeyemi",
			Title: "Auditor", Groups: []string{session.GroupAuditors},
		}},
	}
}

// People lists the personas of one side, as Config wants them.
func People(side Side) []Person {
	var out []Person
	for _, p := range Personas() {
		if p.Side == side {
			out = append(out, p.Person)
		}
	}
	return out
}
