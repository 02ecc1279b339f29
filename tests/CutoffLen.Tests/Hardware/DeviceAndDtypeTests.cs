using CutoffLen.Common;
using CutoffLen.Hardware;
using TorchSharp;

namespace CutoffLen.Tests.Hardware;

public sealed class DeviceAndDtypeTests
{
    private static readonly LocalWorld Alone = new(0, 1, SharesCores: false);
    private static readonly Cpu PlainCpu = new("old", 4, 2, ["avx2"]);
    private static readonly Cpu Bf16Cpu = new("new", 4, 2, ["avx2", "avx512f", "amx_bf16"]);
    private static readonly CudaDevice Ampere = new("A100", new Version(8, 0), 40L << 30);
    private static readonly CudaDevice Turing = new("T4", new Version(7, 5), 16L << 30);

    [Fact]
    public void Auto_is_the_cpu_where_there_is_no_gpu()
    {
        Assert.Equal(("cpu", "fp32"), Choose("auto", "auto", PlainCpu));
        Assert.Equal(("cpu", "bf16"), Choose("auto", "auto", Bf16Cpu));
    }

    [Fact]
    public void Auto_is_the_first_gpu_and_its_own_dtype()
    {
        Assert.Equal(("cuda:0", "bf16"), Choose("auto", "auto", PlainCpu, Ampere, Turing));
        Assert.Equal(("cuda:0", "fp32"), Choose("auto", "auto", Bf16Cpu, Turing, Ampere));
        Assert.Equal(("cuda:1", "bf16"), Choose("cuda:1", "auto", Bf16Cpu, Turing, Ampere));
    }

    [Fact]
    public void A_gpu_without_a_driver_that_tells_gets_float32() =>
        Assert.Equal("fp32", DeviceAndDtype.Choose("cuda", "auto", cudaCount: 1, () => [], () => Bf16Cpu, Alone).DtypeName);

    [Theory]
    [InlineData("cpu", "fp32", "cpu", "fp32")]
    [InlineData("CPU", "bf16", "cpu", "bf16")]
    [InlineData("cuda", "fp32", "cuda:0", "fp32")]
    [InlineData("cuda:1", "bfloat16", "cuda:1", "bf16")]
    [InlineData("auto", "float32", "cuda:0", "fp32")]
    public void What_is_asked_for_is_taken(string device, string dtype, string expectedDevice, string expectedDtype) =>
        Assert.Equal((expectedDevice, expectedDtype), Choose(device, dtype, PlainCpu, Turing, Turing));

    [Theory]
    [InlineData("gpu", "auto", "--device gpu: not a device; allowed are auto, cpu, cuda:0")]
    [InlineData("cuda:", "auto", "--device cuda:: '' is not a device number; allowed are auto, cpu, cuda:0")]
    [InlineData("cuda:x", "auto", "--device cuda:x: 'x' is not a device number; allowed are auto, cpu, cuda:0")]
    [InlineData("cuda:-1", "auto", "--device cuda:-1: '-1' is not a device number; allowed are auto, cpu, cuda:0")]
    [InlineData("cuda:1", "auto", "--device cuda:1: there is one CUDA device; allowed are auto, cpu, cuda:0")]
    [InlineData("", "auto", "--device : not a device; allowed are auto, cpu, cuda:0")]
    [InlineData("cpu", "fp16", "--dtype fp16: not a number format of cutoff; allowed are auto, fp32 and bf16")]
    public void Errors_name_what_was_given_and_what_is_allowed(string device, string dtype, string expected) =>
        Assert.Equal(expected, Assert.Throws<UserException>(() => Choose(device, dtype, PlainCpu, Ampere)).Message);

    [Fact]
    public void Cuda_without_a_device_says_so() =>
        Assert.Contains("sees no CUDA device", Assert.Throws<UserException>(() => Choose("cuda", "auto", PlainCpu)).Message, StringComparison.Ordinal);

    [Fact]
    public void Each_rank_of_a_host_takes_the_gpu_of_its_number()
    {
        Assert.Equal(["cuda:0", "cuda:1"], Enumerable.Range(0, 2).Select(rank => OfRank("auto", rank, 2, Ampere, Ampere)));
        Assert.Equal(["cuda:0", "cuda:1", "cuda:2"], Enumerable.Range(0, 3).Select(rank => OfRank("cuda", rank, 3, Ampere, Ampere, Ampere, Ampere)));
        Assert.Equal("cpu", OfRank("cpu", 1, 2, Ampere, Ampere));
        // The launcher gave each rank a GPU of its own.
        Assert.Equal("cuda:0", OfRank("auto", 1, 2, Ampere));
    }

    [Theory]
    [InlineData("auto", "--device auto: 3 ranks on this host and 2 CUDA devices; start at most one rank a device")]
    [InlineData("cuda:1", "--device cuda:1: 3 ranks on this host would share it; give cuda, and each takes its own")]
    public void Ranks_do_not_share_a_gpu(string device, string expected) =>
        Assert.Equal(expected, Assert.Throws<UserException>(() => OfRank(device, 0, 3, Ampere, Ampere)).Message);

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(1000, true)]
    [InlineData(1000, false)]
    public void Ranks_that_share_cores_take_equal_shares_of_them(int ranks, bool shareCores)
    {
        try
        {
            LocalWorld.Current = new LocalWorld(0, ranks, shareCores);
            Assert.Equal(Math.Max(1, Cpu.Detect().Cores / (shareCores ? ranks : 1)), ThreadsUnder(omp: null, mkl: null));
        }
        finally
        {
            LocalWorld.Current = Alone;
        }
    }

    [Fact]
    public void A_tensor_lives_where_the_choice_says()
    {
        using var scope = torch.NewDisposeScope();
        var compute = DeviceAndDtype.Choose("cpu", "bf16");
        var tensor = torch.ones(2, dtype: compute.Dtype, device: compute.Device);
        Assert.Equal(torch.ScalarType.BFloat16, tensor.dtype);
        Assert.Equal(DeviceType.CPU, tensor.device_type);
    }

    [Fact]
    public void Threads_reach_torch()
    {
        var before = torch.get_num_threads();
        try
        {
            CpuThreads.Use(3);
            Assert.Equal(3, torch.get_num_threads());
        }
        finally
        {
            CpuThreads.Use(before);
        }
    }

    [Theory]
    [InlineData("3", null, 3)]
    [InlineData(" 3 ,2", "", 3)] // OpenMP's list of nested levels
    [InlineData("3", "2", 2)]
    public void Variables_decide_where_nothing_is_asked_for(string? omp, string? mkl, int expected) => Assert.Equal(expected, ThreadsUnder(omp, mkl));

    [Theory]
    [InlineData("0")]
    [InlineData("-2")]
    [InlineData("two")]
    [InlineData("5000")]
    public void A_variable_that_is_no_number_of_threads_is_an_error_that_names_it(string value) => Assert.Equal(
        $"OMP_NUM_THREADS={value}: not a number of threads from 1 to 4096", Assert.Throws<UserException>(() => ThreadsUnder(value, mkl: null)).Message);

    [Fact]
    public void A_negative_number_of_threads_is_an_error() =>
        Assert.Equal("threads: -1 is not a whole number from 0 to 4096", Assert.Throws<UserException>(() => CpuThreads.Use(-1)).Message);

    /// <summary>What torch has when nothing but these variables decides.</summary>
    private static int ThreadsUnder(string? omp, string? mkl)
    {
        var before = (Omp: Environment.GetEnvironmentVariable("OMP_NUM_THREADS"), Mkl: Environment.GetEnvironmentVariable("MKL_NUM_THREADS"), Threads: torch.get_num_threads());
        try
        {
            Set(omp, mkl);
            CpuThreads.Use(0);
            return torch.get_num_threads();
        }
        finally
        {
            Set(before.Omp, before.Mkl);
            torch.set_num_threads(before.Threads);
        }

        static void Set(string? omp, string? mkl)
        {
            Environment.SetEnvironmentVariable("OMP_NUM_THREADS", omp);
            Environment.SetEnvironmentVariable("MKL_NUM_THREADS", mkl);
        }
    }

    private static string OfRank(string device, int rank, int ranks, params CudaDevice[] gpus) => DeviceAndDtype.Choose(
        device, "fp32", gpus.Length, () => gpus, () => PlainCpu, new LocalWorld(rank, ranks, SharesCores: true)).DeviceName;

    private static (string Device, string Dtype) Choose(string device, string dtype, Cpu cpu, params CudaDevice[] gpus)
    {
        var compute = DeviceAndDtype.Choose(device, dtype, gpus.Length, () => gpus, () => cpu, Alone);
        return (compute.DeviceName, compute.DtypeName);
    }
}
