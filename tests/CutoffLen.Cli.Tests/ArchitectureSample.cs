// What ArchitectureTests must find: a lower namespace that refers to a higher one, and a third that nobody placed.
namespace CutoffLen.Cli.Tests.Sample.Low
{
    internal static class Lower
    {
        public static High.Higher? Signature() => null;

        public static string Body() => new High.Higher().ToString()!;
    }
}

namespace CutoffLen.Cli.Tests.Sample.High
{
    internal sealed class Higher;
}

namespace CutoffLen.Cli.Tests.Sample.Elsewhere
{
    internal sealed class Placeless;
}
