package wording

import "github.com/sallyport/sallyport/session"

// Ends are the words of every reason.
func Ends() map[session.EndReason]string {
	all := map[session.EndReason]string{}
	for why, w := range ends() {
		all[why] = w.words
	}
	return all
}

// Channels and Classes are the words that pages use.
func Channels() map[session.Channel]string { return channels() }

// Classes are the words of the service classes.
func Classes() map[session.Class]string { return classes() }

// Deciding are the words that an approver's page has beside those.
func Deciding() (order []session.Channel, phrase map[string]string, signs map[session.ClientClass]string) {
	return readOrder(), phrases(), signed()
}
