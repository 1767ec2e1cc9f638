// The three signs of a tone: colour, tint and shape. A word always stands beside them.
pragma Singleton
import QtQuick

QtObject {
    function ink(tone: string): color {
        switch (tone) {
        case "done":
            return Tokens.done;
        case "attention":
            return Tokens.attention;
        case "fault":
            return Tokens.fault;
        default:
            return Tokens.primary;
        }
    }

    function tint(tone: string): color {
        switch (tone) {
        case "done":
            return Tokens.doneTint;
        case "attention":
            return Tokens.attentionTint;
        case "fault":
            return Tokens.faultTint;
        default:
            return Tokens.primaryTint;
        }
    }

    function icon(tone: string): string {
        return ["done", "attention", "fault"].includes(tone) ? tone : "info";
    }
}
