using CutoffLen.Common;
using CutoffLen.Hardware;
using Mono.Cecil;
using Mono.Cecil.Cil;

namespace CutoffLen.Cli.Tests;

/// <summary>Every number that the product gives to an operator of torch is kept alive; see <see cref="KeptScalars"/>.</summary>
public sealed class KeptScalarsTests
{
    private static readonly string[] Numbers = ["Single", "Double", "Int32", "Int64"];

    [Fact]
    public void No_operator_of_torch_gets_a_scalar_that_nothing_keeps_alive()
    {
        using var module = ModuleDefinition.ReadModule(typeof(UserException).Assembly.Location);
        var calls = module.GetTypes().Where(type => type.Name != nameof(KeptScalars))
            .SelectMany(type => type.Methods.Where(method => method.HasBody))
            .SelectMany(method => method.Body.Instructions.Where(MakesScalar).Select(call => $"{method.FullName}: {call.Operand}"));
        Assert.Empty(calls);
    }

    [Fact]
    public void A_scalar_is_made_by_a_conversion_or_inside_an_operator_with_a_number()
    {
        using var module = ModuleDefinition.ReadModule(typeof(KeptScalarsTests).Assembly.Location);
        var sample = module.GetTypes().Single(type => type.Name == nameof(Sample));
        Assert.Equal(2, sample.Methods.SelectMany(method => method.Body.Instructions).Count(MakesScalar));
    }

    private static bool MakesScalar(Instruction instruction) =>
        instruction.Operand is MethodReference method && method.DeclaringType.FullName.StartsWith("TorchSharp.", StringComparison.Ordinal)
        && (method is { Name: "op_Implicit", DeclaringType.Name: "Scalar" }
            || (method.Name.StartsWith("op_", StringComparison.Ordinal) && method.Parameters.Any(parameter => Numbers.Contains(parameter.ParameterType.Name))));

    private static class Sample
    {
        public static TorchSharp.torch.Tensor Conversion(TorchSharp.torch.Tensor x) => x.mul(2);

        public static TorchSharp.torch.Tensor Operator(TorchSharp.torch.Tensor x) => x * 2.5;

        public static TorchSharp.torch.Tensor Kept(TorchSharp.torch.Tensor x) => x * KeptScalars.Kept(2.5);
    }
}
