"""The elements of ESPI 4.0 usage resources, children in schema order.

`t` text · `n` number, code or instant: its digits are no identifier · `-` known, never given · a Name is an element
type of the table · `*` may repeat. Each type may also hold `batchItemInfo` and `extension`, which never leave.
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
    "billingPeriod:Interval billLastPeriod:n billToDate:n costAdditionalLastPeriod:n"
    " costAdditionalDetailLastPeriod:LineItem* currency:n overallConsumptionLastPeriod:Measured"
    f" currentBillingPeriodOverAllConsumption:Measured {_COMPARED}"
    " qualityOfReading:n ratchetDemand:- ratchetDemandPeriod:- statusTimeStamp:n commodity:n tariffProfile:t"
    " readCycle:- tariffRiderRefs:TariffRiderRefs billingChargeSource:BillingChargeSource"
)

TABLE = {
    "UsagePoint": (
        "roleFlags:- ServiceCategory:ServiceCategory status:- serviceDeliveryPoint:ServiceDeliveryPoint"
        " amiBillingReady:- checkBilling:- connectionState:- estimatedLoad:- grounded:- isSdp:- isVirtual:-"
        " minimalUsageExpected:- nominalServiceVoltage:- outageRegion:- phaseCode:- ratedCurrent:- ratedPower:-"
        " readCycle:- readRoute:- serviceDeliveryRemark:- servicePriority:- pnodeRefs:- aggregateNodeRefs:-"
    ),
    "ServiceCategory": "kind:n",
    "ServiceDeliveryPoint": "name:t tariffProfile:t customerAgreement:t tariffRiderRefs:TariffRiderRefs",
    "TariffRiderRefs": "tariffRiderRef:TariffRiderRef*",
    "TariffRiderRef": "riderType:t enrollmentStatus:t effectiveDate:n",
    "BillingChargeSource": "agencyName:t",
    "MeterReading": "",
    "ReadingType": (
        "accumulationBehaviour:n commodity:n consumptionTier:n currency:n dataQualifier:n defaultQuality:n"
        " flowDirection:n intervalLength:n kind:n phase:n powerOfTenMultiplier:n timeAttribute:n tou:n uom:n cpp:n"
        " interharmonic:Ratio measuringPeriod:n argument:Ratio"
    ),
    "Ratio": "numerator:n denominator:n",
    "Interval": "duration:n start:n",
    "IntervalBlock": "interval:Interval",  # and the readings, which have a grammar of their own
    "IntervalReading": (
        "cost:n ReadingQuality:ReadingQuality* timePeriod:Interval value:n consumptionTier:n tou:n cpp:n"
    ),
    "ReadingQuality": "quality:n",
    "UsageSummary": _SUMMARY,
    "ElectricPowerUsageSummary": _SUMMARY,  # its older name
    "Measured": "powerOfTenMultiplier:n timeStamp:n uom:n value:n readingTypeRef:-",
    "LineItem": (
        "amount:n rounding:n dateTime:n note:t measurement:Measured itemKind:n unitCost:n itemPeriod:Interval"
    ),
    "LocalTimeParameters": "dstEndRule:n dstOffset:n dstStartRule:n tzOffset:n",
    "ElectricPowerQualitySummary": (
        "flickerPlt:- flickerPst:- harmonicVoltage:- longInterruptions:- mainsVoltage:- measurementProtocol:-"
        " powerFrequency:- rapidVoltageChanges:- shortInterruptions:- summaryInterval:- supplyVoltageDips:-"
        " supplyVoltageImbalance:- supplyVoltageVariations:- tempOvervoltage:-"
    ),
}
RESOURCES = (
    "UsagePoint", "MeterReading", "ReadingType", "IntervalBlock", "UsageSummary", "ElectricPowerUsageSummary",
    "LocalTimeParameters",
)  # fmt: skip
SHARED = ("ReadingType", "LocalTimeParameters")  # of no usage point
# The other resources that an entry may hold (the global elements of espi.xsd). They never leave, and are not read.
NEVER_GIVEN = frozenset(
    "ElectricPowerQualitySummary ProgramIdMappings ApplicationInformation Authorization ServiceStatus BatchList"
    " BatchItemInfo IntervalReading ReadingQuality IdentifiedObject Object DateTimeInterval SummaryMeasurement".split()
)
LEAVES = ("t", "n")
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
