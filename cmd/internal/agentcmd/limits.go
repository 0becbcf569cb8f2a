package agentcmd

const maxTokenFile = 16 << 10 // bytes; a join token has some 400
