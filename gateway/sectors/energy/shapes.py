"""The elements of ESPI 4.0 usage resources, children in schema order.

`t` text · `-` known, never given · a Name is an element type of the table · `*` may repeat. Each type may also hold
`batchItemInfo` and `extension`, which never leave.
"""

from collections.abc import Mapping

ESPI = "http://naesb.org/espi"
ATOM = "http://www.w3.org/2005/Atom"

_COMPARED = (
    "currentDayLastYearNetConsumption:Measured currentDayNetConsumption:Measured currentDayOverallConsumption:Measured"
    " peakDemand:- previousDayLastYearOverallConsumption:Measured previousDayNetConsumption:Measured"
    " previousDayOverallConsumption:Measured"
)

_SUMMARY = (
    "billingPeriod:Interval billLastPeriod:t billToDate:t costAdditionalLastPeriod:t"
    " costAdditionalDetailLastPeriod:LineItem* currency:t overallConsumptionLastPeriod:Measured"
    f" currentBillingPeriodOverAllConsumption:Measured {_COMPARED}"
    " qualityOfReading:t ratchetDemand:- ratchetDemandPeriod:- statusTimeStamp:t commodity:t tariffProfile:t"
    " readCycle:- tariffRiderRefs:TariffRiderRefs billingChargeSource:BillingChargeSource"
)

TABLE = {
    "UsagePoint": (
        "roleFlags:- ServiceCategory:ServiceCategory status:- serviceDeliveryPoint:ServiceDeliveryPoint"
        " amiBillingReady:- checkBilling:- connectionState:- estimatedLoad:- grounded:- isSdp:- isVirtual:-"
        " minimalUsageExpected:- nominalServiceVoltage:- outageRegion:- phaseCode:- ratedCurrent:- ratedPower:-"
        " readCycle:- readRoute:- serviceDeliveryRemark:- servicePriority:- pnodeRefs:- aggregateNodeRefs:-"
    ),
    "ServiceCategory": "kind:t",
    "ServiceDeliveryPoint": "name:t tariffProfile:t customerAgreement:t tariffRiderRefs:TariffRiderRefs",
    "TariffRiderRefs": "tariffRiderRef:TariffRiderRef*",
    "TariffRiderRef": "riderType:t enrollmentStatus:t effectiveDate:t",
    "BillingChargeSource": "agencyName:t",
    "MeterReading": "",
    "ReadingType": (
        "accumulationBehaviour:t commodity:t consumptionTier:t currency:t dataQualifier:t defaultQuality:t"
        " flowDirection:t intervalLength:t kind:t phase:t powerOfTenMultiplier:t timeAttribute:t tou:t uom:t cpp:t"
        " interharmonic:Ratio measuringPeriod:t argument:Ratio"
    ),
    "Ratio": "numerator:t denominator:t",
    "Interval": "duration:t start:t",
    "IntervalBlock": "interval:Interval",  # and the readings, which have a grammar of their own
    "IntervalReading": (
        "cost:t ReadingQuality:ReadingQuality* timePeriod:Interval value:t consumptionTier:t tou:t cpp:t"
    ),
    "ReadingQuality": "quality:t",
    "UsageSummary": _SUMMARY,
    "ElectricPowerUsageSummary": _SUMMARY,  # its older name
    "Measured": "powerOfTenMultiplier:t timeStamp:t uom:t value:t readingTypeRef:-",
    "LineItem": (
        "amount:t rounding:t dateTime:t note:t measurement:Measured itemKind:t unitCost:t itemPeriod:Interval"
    ),
    "LocalTimeParameters": "dstEndRule:t dstOffset:t dstStartRule:t tzOffset:t",
    "ElectricPowerQualitySummary": (
        "flickerPlt:- flickerPst:- harmonicVoltage:- longInterruptions:- mainsVoltage:- measurementProtocol:-"
        " powerFrequency:- rapidVoltageChanges:- shortInterruptions:- summaryInterval:- supplyVoltageDips:-"
        " supplyVoltageImbalance:- supplyVoltageVariations:- tempOvervoltage:-"
    ),
}
RESOURCES = (
    "UsagePoint", "MeterReading", "ReadingType", "IntervalBlock", "UsageSummary", "ElectricPowerUsageSummary",
    "LocalTimeParameters", "ElectricPowerQualitySummary",
)  # fmt: skip
SUMMARIES = ("UsageSummary", "ElectricPowerUsageSummary")
NEVER = ("batchItemInfo", "extension")  # of every type

CHILDREN: Mapping[str, Mapping[str, str]] = {
    kind: {name: word for name, _, word in (entry.partition(":") for entry in line.split())}
    for kind, line in TABLE.items()
}
TITLES = {
    "UsagePoint": "Usage point",
    "MeterReading": "Meter reading",
    "ReadingType": "Reading type",
    "IntervalBlock": "Interval block",
    "UsageSummary": "Usage summary",
    "ElectricPowerUsageSummary": "Usage summary",
    "LocalTimeParameters": "Local time parameters",
}
