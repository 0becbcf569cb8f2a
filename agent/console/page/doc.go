// Package page is the agent's own page for the people at the scanner: who is on which
// scanner and why, how long still, and STOP. It shows what waits for the hospital's approval
// as it was signed, and approvers who signed in by name decide there. It is served from the agent, in the hospital's
// own network and nowhere else, and needs neither broker nor identity provider.
//
// What narrows needs no proof: STOP and freeze work for whoever reaches the page, at once
// and as often as they like. What widens (thaw) and what tells (who, why, the screen) needs
// a sign-in with the hospital's PIN, or by name at its identity provider. Approving needs a
// name, and for each approval a fresh signature of the provider over the grant.
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
//	POST /enter    to the identity provider
//	GET  /cb       from there
//	GET  /decide   request                                 (an approver)
//	POST /narrow   request, longest, class, channel-…      (an approver)
//	POST /approve  request, grant: to the provider         (an approver)
//	POST /deny     request, reason                         (an approver)
//
// Forms are plain: STOP works without a script. A form counts only when the browser says
// that it was sent from this page.
package page
