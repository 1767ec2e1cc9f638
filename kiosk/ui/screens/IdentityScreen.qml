// Whose card was read, masked: is it you?
import QtQuick

SummaryPage {
}
