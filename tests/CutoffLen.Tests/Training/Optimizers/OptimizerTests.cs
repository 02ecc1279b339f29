using System.Text.Json.Nodes;
using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training.Optimizers;

public sealed class OptimizerTests
{
    [Fact]
    public void AdamW_makes_PyTorchs_steps()
    {
        using var scope = NewDisposeScope();
        var golden = JsonNode.Parse(File.ReadAllText(Golden.Path("training/adamw.json")))!;
        using var parameters = Parameters(golden["start"]!);
        using var optimizer = new AdamW(parameters, new AdamWSettings(Number("beta1"), Number("beta2"), Number("epsilon"), Number("weight_decay")));
        foreach (var step in golden["steps"]!.AsArray())
        {
            parameters.Gradients.copy_(Flat(step!["gradients"]!));
            optimizer.Step(step["learning_rate"]!.GetValue<double>(), 1);
            AssertClose(step["values"]!, parameters.Values);
            AssertClose(step["exp_avg"]!, optimizer.FirstMoment);
            AssertClose(step["exp_avg_sq"]!, optimizer.SecondMoment);
        }

        double Number(string key) => golden[key]!.GetValue<double>();
    }

    [Fact]
    public void Lion_and_gradient_descent_follow_their_formulas()
    {
        using var scope = NewDisposeScope();
        float[] start = [1, -2, 3], gradient = [0.5f, -0.25f, 0];
        using var lionParameters = OneMatrix(start, gradient);
        using var lion = new Lion(lionParameters, 0.9, 0.99, 0.1);
        lion.Step(0.1, 1);
        lion.Step(0.1, 1);
        // Twice: weights shrink by 1 - 0.1 * 0.1, then move by the rate against the sign of the interpolation.
        Assert.Equal([((1 * 0.99) - 0.1) * 0.99 - 0.1, ((-2 * 0.99) + 0.1) * 0.99 + 0.1, 3 * 0.99 * 0.99], Values(lionParameters), Close);
        Assert.Equal([0.5 * 0.01 * 1.99, -0.25 * 0.01 * 1.99, 0], lion.State[0].Buffer.data<float>().Select(v => (double)v), Close);

        using var sgdParameters = OneMatrix(start, gradient);
        using var sgd = new Sgd(sgdParameters, 0.1);
        sgd.Step(0.1, 0.5);
        Assert.Equal([0.99 - 0.025, (-2 * 0.99) + 0.0125, 3 * 0.99], Values(sgdParameters), Close);
        Assert.Empty(sgd.State);
    }

    private static bool Close(double one, double other) => Math.Abs(one - other) < 1e-6;

    private static IEnumerable<double> Values(FlatParameters parameters) => parameters.Values.data<float>().Select(value => (double)value);

    private static FlatParameters OneMatrix(float[] start, float[] gradient)
    {
        var parameters = new FlatParameters([new ParameterGroup("all", [new ParameterShape("w", [1, 3])], true)], ScalarType.Float32, CPU);
        parameters.Values.copy_(tensor(start));
        parameters.Gradients.copy_(tensor(gradient));
        return parameters;
    }

    private static FlatParameters Parameters(JsonNode start)
    {
        var parameters = new FlatParameters(
            ParameterGroup.ByShape([new ParameterShape("vector", [5]), new ParameterShape("matrix", [3, 4])]), ScalarType.Float32, CPU);
        parameters.Values.copy_(Flat(start));
        return parameters;
    }

    private static Tensor Flat(JsonNode parts) =>
        tensor([.. parts.AsArray().SelectMany(part => part!.AsArray().Select(value => value!.GetValue<float>()))]);

    private static void AssertClose(JsonNode expected, Tensor actual)
    {
        var away = (Flat(expected) - actual).abs().max().item<float>();
        Assert.True(away <= 2e-6f * Math.Max(1, actual.abs().max().item<float>()), $"{away} away");
    }
}
