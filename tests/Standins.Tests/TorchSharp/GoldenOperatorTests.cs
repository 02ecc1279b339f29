using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Standins.Tests.TorchSharp;

/// <summary>Every operator against what PyTorch answered; golden/operators.py says how the answers were made.</summary>
public sealed class GoldenOperatorTests : IDisposable
{
    private static readonly JsonElement Golden = JsonDocument.Parse(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "TorchSharp", "golden", "operators.json"))).RootElement;

    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Names => new(Golden.GetProperty("cases").EnumerateObject().Select(entry => entry.Name));

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Every_golden_case_is_computed_and_no_other() =>
        Assert.Equal(Golden.GetProperty("cases").EnumerateObject().Select(entry => entry.Name).Order(), GoldenCases.All.Keys.Order());

    [Theory]
    [MemberData(nameof(Names))]
    public void An_operator_answers_as_PyTorch_does(string name)
    {
        Dictionary<string, Tensor> inputs = Golden.GetProperty("inputs").EnumerateObject()
            .ToDictionary(entry => entry.Name, entry => Decode(entry.Value));
        Tensor expected = Decode(Golden.GetProperty("cases").GetProperty(name));

        Tensor actual = GoldenCases.All[name](new GoldenInputs(inputs));

        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        double tolerance = actual.is_floating_point() ? 2e-5 : 0;
        Assert.True(
            actual.to(float64).allclose(expected.to(float64), tolerance, tolerance, equal_nan: true),
            $"expected {string.Join(' ', expected.to(float64).data<double>())}\nbut was {string.Join(' ', actual.to(float64).data<double>())}");
    }

    private static Tensor Decode(JsonElement stored)
    {
        double[] values = stored.GetProperty("values").EnumerateArray()
            .Select(value => value.ValueKind == JsonValueKind.String ? double.Parse(value.GetString()!.Replace("Infinity", "∞")) : value.GetDouble())
            .ToArray();
        long[] shape = stored.GetProperty("shape").EnumerateArray().Select(length => length.GetInt64()).ToArray();
        ScalarType type = stored.GetProperty("dtype").GetString() switch
        {
            "float32" => float32,
            "float64" => float64,
            "int64" => int64,
            "int32" => int32,
            "bool" => ScalarType.Bool,
            string other => throw new NotSupportedException(other),
            null => throw new InvalidDataException(),
        };
        return tensor(values, shape, type);
    }
}
