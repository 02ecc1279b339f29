using CutoffLen.Hardware;

namespace CutoffLen.Tests.Hardware;

public sealed class CpuTests
{
    private const string Xeon = """
        processor	: 0
        model name	: Intel(R) Xeon(R) Processor @ 2.70GHz
        flags		: fpu sse2 fma avx2 avx512f avx512_bf16 amx_bf16 amx_tile amx_int8

        processor	: 1
        model name	: Intel(R) Xeon(R) Processor @ 2.70GHz
        flags		: fpu sse2 fma avx2 avx512f avx512_bf16 amx_bf16 amx_tile amx_int8
        """;

    [Fact]
    public void An_x86_cpu_has_its_name_and_the_features_that_matter_to_torch()
    {
        var cpu = Cpu.Parse(Xeon, processors: 2);
        Assert.Equal("Intel(R) Xeon(R) Processor @ 2.70GHz", cpu.Model);
        Assert.Equal(["avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"], cpu.Features);
        Assert.True(cpu.MultipliesBf16);
    }

    [Fact]
    public void An_Arm_cpu_has_features_but_no_name()
    {
        var cpu = Cpu.Parse("processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd sve bf16\n", processors: 1);
        Assert.Equal(["asimd", "sve", "bf16"], cpu.Features);
        Assert.NotEmpty(cpu.Model);
    }

    [Fact]
    public void Processors_that_share_a_core_count_once()
    {
        const string twoSocketsOfTwoCores = """
            physical id : 0
            core id : 0
            physical id : 0
            core id : 1
            physical id : 0
            core id : 0
            physical id : 1
            core id : 0
            physical id : 1
            core id : 1
            """;
        Assert.Equal(4, Cpu.Parse(twoSocketsOfTwoCores, processors: 8).Cores);
        Assert.Equal(2, Cpu.Parse(twoSocketsOfTwoCores, processors: 2).Cores);
        Assert.Equal(8, Cpu.Parse("Features : asimd\n", processors: 8).Cores);
    }

    [Theory]
    [InlineData("avx2 fma", false)]
    [InlineData("avx2 avx512f", false)]
    [InlineData("avx512f avx512_bf16", true)]
    [InlineData("amx_bf16", true)]
    [InlineData("avx512_bf16x", false)]
    [InlineData("", false)]
    public void BFloat16_is_fast_where_the_cpu_multiplies_it(string flags, bool expected) =>
        Assert.Equal(expected, Cpu.Parse($"flags : {flags}\n", processors: 1).MultipliesBf16);

    [Fact]
    public void This_machine_has_a_cpu()
    {
        var cpu = Cpu.Detect();
        Assert.NotEmpty(cpu.Model);
        Assert.Equal(Environment.ProcessorCount, cpu.Processors);
        Assert.InRange(cpu.Cores, 1, cpu.Processors);
    }
}
