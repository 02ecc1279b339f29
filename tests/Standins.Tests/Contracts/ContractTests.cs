using System.Reflection;

namespace Standins.Tests.Contracts;

public sealed class ContractTests
{
    [Theory]
    [InlineData("TorchSharp.dll", "torchsharp-0.106.0-api.txt")]
    [InlineData("Microsoft.ML.Tokenizers.dll", "microsoft.ml.tokenizers-2.0.0-api.txt")]
    public void The_assembly_has_no_member_outside_the_package(string assembly, string contract)
    {
        var types = Assembly.LoadFrom(Path.Combine(AppContext.BaseDirectory, assembly)).GetTypes();
        // The package carries protobuf types that its listing leaves out.
        var listing = PublicApi.Of(types.Where(type => type.Namespace != "Tensorboard")).ToList();

        var outside = ApiContract.Read(contract).Outside(listing).ToList();

        Assert.NotEmpty(listing);
        Assert.True(outside.Count == 0, $"{outside.Count} of {listing.Count} members are not in {contract}:\n{string.Join('\n', outside)}");
    }

    [Fact]
    public void A_type_is_listed_member_by_member() =>
        Assert.Equal(Sample.Listing.Order(StringComparer.Ordinal), PublicApi.Of([typeof(Sample)]));

    [Fact]
    public void A_type_that_has_exactly_the_contracts_members_passes() => Assert.Empty(OutsideOf(Sample.Listing));

    [Fact]
    public void A_type_that_has_fewer_members_passes() =>
        Assert.Empty(OutsideOf([.. Sample.Listing, $"{Sample.Name} :: void Rename(string name)"]));

    [Fact]
    public void A_member_that_the_contract_lacks_is_named()
    {
        var extra = $"{Sample.Name} :: static long Sum<T>(params T[] values) where T : struct, IComparable<T>";
        Assert.Equal([extra], OutsideOf([.. Sample.Listing.Where(line => line != extra)]));
    }

    [Fact]
    public void A_type_that_the_contract_lacks_is_named() =>
        Assert.Contains($"{Sample.Name} // class : IDisposable", OutsideOf([]));

    [Theory]
    [InlineData("int? count = null", "int? number = null")]
    [InlineData("int? count = null", "int count = null")]
    [InlineData("int? count = null", "int? count = 1")]
    [InlineData("string Title {", "object Title {")]
    [InlineData("get; protected set; ", "get; set; ")]
    [InlineData("double right", "double")]
    [InlineData("where T : struct, ", "where T : ")]
    [InlineData("static long Sum", "static int Sum")]
    [InlineData("class : IDisposable", "sealed class : IDisposable")]
    [InlineData("class : IDisposable", "class : ICloneable")]
    public void A_difference_that_a_caller_sees_is_a_failure(string own, string package) =>
        Assert.Single(OutsideOf(Sample.Listing.Select(line => line.Replace(own, package))));

    [Theory]
    [InlineData("string Title", "virtual string? Title")]
    [InlineData(":: string ToString", ":: override string? ToString")]
    [InlineData("protected void Dispose", "protected sealed override void Dispose")]
    [InlineData("class : IDisposable", "class : IDictionary<string, List<int>>, IDisposable [Obsolete]")]
    public void A_difference_that_no_caller_sees_is_none(string own, string package) =>
        Assert.Empty(OutsideOf(Sample.Listing.Select(line => line.Replace(own, package))));

    private static List<string> OutsideOf(IEnumerable<string> contract) =>
        [.. new ApiContract(contract).Outside(PublicApi.Of([typeof(Sample)]))];
}

/// <summary>A type with one member of each sort, to try the comparison on.</summary>
public class Sample : IDisposable
{
    internal const string Name = "Standins.Tests.Contracts.Sample";

    internal static readonly string[] Listing =
    [
        $"{Name} // class : IDisposable",
        $"{Name} :: .ctor(int? count = null, DayOfWeek first = DayOfWeek.Monday)",
        $"{Name} :: const float Half = 0.5f",
        $"{Name} :: event Action Changed",
        $"{Name} :: string Title {{ get; protected set; }}",
        $"{Name} :: long Item[int index] {{ get; }}",
        $"{Name} :: string ToString()",
        $"{Name} :: void Dispose()",
        $"{Name} :: protected void Dispose(bool disposing)",
        $"{Name} :: bool TryFind(string name, out (double left, double right) bounds)",
        $"{Name} :: static long Sum<T>(params T[] values) where T : struct, IComparable<T>",
    ];

    public const float Half = 0.5f;

    public Sample(int? count = null, DayOfWeek first = DayOfWeek.Monday) => Title = $"{count} {first}";

    public event Action? Changed;

    public string? Title { get; protected set; }

    public long this[int index] => index;

    public override string ToString() => Title ?? "";

    public bool TryFind(string name, out (double left, double right) bounds)
    {
        bounds = (0, name.Length);
        return Title == name;
    }

    public static long Sum<T>(params T[] values)
        where T : struct, IComparable<T> => values.Length;

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing) => Changed?.Invoke();
}
