// Package nla proves a login to a console by CredSSP with NTLMv2 in it (MS-CSSP, MS-NLMP):
// both sides show that they know the password, bound to the certificate that they see, and
// only then is the login handed over.
package nla
