// Package page is the agent's own page for the people at the scanner: who is on which
// scanner and why, how long still, and STOP. It shows what waits for the hospital's approval
// as it was signed; nothing is approved here. It is served from the agent, in the hospital's
// own network and nowhere else, and needs neither broker nor identity provider.
//
// What narrows needs no proof: STOP and freeze work for whoever reaches the page, at once
// and as often as they like. What widens (thaw) and what tells (who, why, the screen) needs
// a sign-in with the hospital's PIN.
//
//	GET  /         the page
//	GET  /live     its board, again whenever it changes (server-sent events)
//	GET  /picture  a session's screen, with its masks      (signed in)
//	POST /stop     asset | session | all
//	POST /freeze   asset | session | all
//	POST /thaw     asset | session | all                   (signed in)
//	POST /state    asset, state                            (signed in, for what allows more)
//	POST /signin   pin
//	POST /signout
//
// Forms are plain: STOP works without a script. A form counts only when the browser says
// that it was sent from this page.
package page
