// Sends what standard input says, with nodemailer: {"transport": {...}, "messages": [{...}, ...]}.
// Writes one JSON object for each message, in their order: what was accepted, or the error.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(process.argv[2] + "/");
const nodemailer = require("nodemailer");
const job = JSON.parse(await text(process.stdin));
const transport = nodemailer.createTransport(job.transport);

async function send(message) {
    try {
        const { accepted, rejected, response } = await transport.sendMail(message);
        return { accepted, rejected, response };
    } catch (error) {
        const { message, code, responseCode, command } = error;
        return { error: message, code, responseCode, command };
    }
}

// A pool takes them all at once; a single connection takes each when the last one is done.
const results = [];
if (job.transport.pool) {
    results.push(...(await Promise.all(job.messages.map(send))));
} else {
    for (const message of job.messages) results.push(await send(message));
}
transport.close();
console.log(JSON.stringify(results));
